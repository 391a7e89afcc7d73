//! Simplified ID Merge: the ID that an event has, or the link that it states, by the device and the
//! user that it names (SPEC 3).

use std::borrow::Cow;

/// The prefix of the IDs of devices.
pub const DEVICE_PREFIX: &str = "$device:";

/// The IDs that an event names; an empty one is none, and the device's has lost its prefix.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    device: Option<&'a str>,
    user: Option<&'a str>,
}

/// The ID under which an event was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender<'a> {
    /// A device's, without its prefix.
    Device(&'a str),
    /// Any other.
    Id(&'a str),
}

/// What an event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// One of both a device, whose ID lacks its prefix, and a user.
    Association {
        /// The device.
        device: &'a str,
        /// The user.
        user: &'a str,
    },
    /// One whose `distinct_id` was rewritten.
    Rewritten {
        /// The ID that it has now.
        id: &'a str,
        /// The one under which it was sent.
        sent: Sender<'a>,
    },
    /// One that was sent under this ID.
    Sent(Sender<'a>),
    /// One that names no ID.
    Nobodys,
}

impl<'a> Named<'a> {
    /// Takes the values of `$device_id` and of `$user_id`, as far as they can be IDs.
    pub fn of(device: Option<&'a str>, user: Option<&'a str>) -> Self {
        let device = device.map(|id| id.strip_prefix(DEVICE_PREFIX).unwrap_or(id));
        Self {
            device: device.filter(|id| !id.is_empty()),
            user: user.filter(|id| !id.is_empty() && !id.starts_with(DEVICE_PREFIX)),
        }
    }

    /// Returns the device and the user of an event that names both.
    pub fn both(self) -> Option<(&'a str, &'a str)> {
        self.device.zip(self.user)
    }

    /// Returns what an event is whose `distinct_id` is `id`, and was `sent` as another before.
    pub fn event(self, id: Option<&'a str>, sent: Option<&'a str>) -> Event<'a> {
        if let Some((device, user)) = self.both() {
            return Event::Association { device, user };
        }
        let own = self.user.map(Sender::Id).or(self.device.map(Sender::Device));
        match (id, sent) {
            (Some(id), Some(sent)) if id != sent => {
                let sent = own.unwrap_or(Sender::Id(sent));
                if sent.is(id) { Event::Sent(Sender::Id(id)) } else { Event::Rewritten { id, sent } }
            }
            _ => own.or(id.map(Sender::Id)).map_or(Event::Nobodys, Event::Sent),
        }
    }
}

impl<'a> Event<'a> {
    /// Returns the ID that the event is stitched under: of an association, that of the user.
    pub fn sender(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Association { user, .. } => Some(Cow::Borrowed(user)),
            Self::Rewritten { id, .. } | Self::Sent(Sender::Id(id)) => Some(Cow::Borrowed(id)),
            Self::Sent(Sender::Device(device)) => Some(Cow::Owned(format!("{DEVICE_PREFIX}{device}"))),
            Self::Nobodys => None,
        }
    }
}

impl Sender<'_> {
    /// Returns whether this is the sender's whole ID.
    fn is(self, id: &str) -> bool {
        match self {
            Self::Device(device) => id.strip_prefix(DEVICE_PREFIX) == Some(device),
            Self::Id(own) => own == id,
        }
    }
}
