//! What the targets share: a call to a plugin out of text, a kernel whose answers are the fuzzer's, a directory to
//! write in.

mod call;
mod peer;
mod scratch;

pub use call::request;
pub use peer::answered;
pub use scratch::Scratch;
