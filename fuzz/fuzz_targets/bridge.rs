//! The configuration of `bridge`: whatever a verb plans, also DEL with what nobody validated, is no larger than it was
//! asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Some(request) = netferry_fuzz::request(text) else { return };
    if let Ok(plan) = plugins::fuzzing::bridge(&request) {
        assert!(plan.steps.len() <= netferry_fuzz::STEPS + text.len());
        plan.steps.iter().for_each(|step| drop(step.op.to_string()));
    }
});
