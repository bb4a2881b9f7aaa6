//! The state that a runtime gives a hook: reading it neither panics nor takes a name that leads out of a directory, a
//! bundle that is somewhere or a process that is none.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use oci::State;
use oci::state::Stage;

fuzz_target!(|data: &[u8]| {
    let Ok(state) = State::read(data) else { return };
    let parts: Vec<_> = Path::new(&state.id).components().collect();
    assert!(matches!(parts[..], [Component::Normal(name)] if name.as_encoded_bytes() == state.id.as_bytes()));
    assert!(!state.id.contains('\0') && state.id.len() <= 1024);
    assert!(state.bundle.is_absolute());
    assert!(state.pid.is_none_or(|pid| pid > 0 && i32::try_from(pid).is_ok()));
    assert!(state.stage() != Some(Stage::Create) || state.pid.is_some());
    let _ = oci::Wishes::read(&state.annotations);
});
