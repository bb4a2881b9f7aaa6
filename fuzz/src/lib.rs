//! What the targets share: a call to a plugin out of text, a kernel whose answers are the fuzzer's, a directory to
//! write in.

mod call;
mod peer;
mod scratch;

pub use call::request;
pub use peer::answered;
pub use scratch::Scratch;

/// More steps than a plan has besides those for the addresses and routes that a text can name.
pub const STEPS: usize = 64;
