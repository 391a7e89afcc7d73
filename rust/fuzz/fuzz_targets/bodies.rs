//! Bodies of requests: any bytes become lines within the limit, or an error.

#![no_main]

use idmerge_events::bodies::lines_of;
use libfuzzer_sys::fuzz_target;

const MOST: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    for kind in [None, Some("application/x-ndjson")] {
        if let Ok(lines) = lines_of(bytes, kind, MOST) {
            assert!(lines.len() <= MOST);
        }
    }
});
