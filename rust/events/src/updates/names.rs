//! The keys of an update that count.

/// The operations of an update, in the order in which they are applied.
pub const OPERATIONS: [&str; 8] =
    ["$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete"];

/// The key of the ID.
pub const DISTINCT_ID: &str = "$distinct_id";

/// The key of the flag that the update is for the profile of that very ID.
pub const IGNORE_ALIAS: &str = "$ignore_alias";

/// The key of the properties in a row of an export of profiles.
pub const PROPERTIES: &str = "$properties";
