//! Bodies of requests: any bytes become lines within the limit, or an error, and their items are
//! taken or not.

#![no_main]

use idmerge_events::admission::{Admission, Limits, Owners, Route};
use idmerge_events::bodies::lines_of;
use libfuzzer_sys::fuzz_target;

const MOST: usize = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    for kind in [None, Some("application/x-ndjson")] {
        if let Ok(lines) = lines_of(bytes, kind, MOST) {
            assert!(lines.len() <= MOST);
        }
    }
    for route in [Route::Track, Route::Import, Route::StrictImport, Route::Engage, Route::Groups] {
        let limits = Limits { bytes: MOST, items: 9, item: 1 << 10, properties: 3, name: 5 };
        let admission = Admission::new(route, limits, vec!["$merge".to_owned()]);
        if let Ok(admitted) = admission.admit(bytes, None, 1 << 40, Owners::ByToken(&["a", "b"], "b")) {
            assert!(admitted.count + admitted.unknown + admitted.failures.len() <= 9);
            let lines = |(_, lines): &(usize, Vec<u8>)| lines.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(admitted.lines.iter().map(lines).sum::<usize>(), admitted.count);
        }
    }
});
