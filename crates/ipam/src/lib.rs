//! Address management: which addresses a container gets, and the record of it.
//!
//! Both plugins offer the same functions, one per verb: `add`, `check`, `del`, `gc`, `status`, and `preview`, which says what
//! ADD would give and writes nothing. They are called by the standalone plugin and in-process by the plugins that delegate.
//! Nothing here touches the kernel's network state.

pub mod host_local;
pub mod static_;
mod text;
