//! Chains and rules as data.
//!
//! A chain with a [`Hook`] is entered by packets, one without by a jump. A rule is a row of expressions, each of which
//! lets the packet pass on or ends the rule.

use std::fmt;

use super::expr::Expr;
use super::value::commented;

/// A chain, and the rules to begin it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The name.
    pub name: String,
    /// Where packets enter; `None` for a chain that is jumped to.
    pub hook: Option<Hook>,
    /// The rules that `add chain` appends, in order. Empty in a chain read back: see `query::rules`.
    pub rules: Vec<Rule>,
}

/// Where a base chain sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// What it may do.
    pub kind: Kind,
    /// The point in the packet's path.
    pub point: Point,
    /// The order among chains at one point, lowest first (`srcnat` is 100, `dstnat` -100, `filter` 0).
    pub priority: i32,
    /// What happens at the end of the chain.
    pub policy: Policy,
}

/// The type of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Accepts and drops.
    Filter,
    /// Rewrites addresses; sees only the first packet of a flow.
    Nat,
}

/// A point in the packet's path (`enum nf_inet_hooks`; a bridge has the same five).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before routing.
    Prerouting,
    /// To a local process.
    Input,
    /// From one interface to another.
    Forward,
    /// From a local process.
    Output,
    /// After routing.
    Postrouting,
}

/// What happens to a packet that reaches the end of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It goes on.
    Accept,
    /// It is dropped.
    Drop,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Matches first, the statement or verdict last.
    pub exprs: Vec<Expr>,
    /// The comment; nft reads at most 127 bytes.
    pub comment: Option<String>,
}

impl Chain {
    /// A chain that is jumped to.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), hook: None, rules: Vec::new() }
    }

    /// A chain that packets enter at `hook`.
    pub fn base(name: impl Into<String>, hook: Hook) -> Self {
        Self { hook: Some(hook), ..Self::new(name) }
    }

    /// The same chain with one more rule at its end.
    #[must_use]
    pub fn with(mut self, exprs: impl Into<Vec<Expr>>) -> Self {
        self.rules.push(Rule::new(exprs));
        self
    }
}

impl Rule {
    /// A rule without a comment.
    pub fn new(exprs: impl Into<Vec<Expr>>) -> Self {
        Self { exprs: exprs.into(), comment: None }
    }

    /// The same rule with a comment.
    #[must_use]
    pub fn commented(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

impl Hook {
    /// A hook of which packets that reach the end go on.
    pub const fn new(kind: Kind, point: Point, priority: i32) -> Self {
        Self { kind, point, priority, policy: Policy::Accept }
    }
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }
}

impl Point {
    const ALL: [Self; 5] = [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting];

    pub(super) const fn number(self) -> u32 {
        self as u32
    }

    pub(super) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        })
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, point, priority, policy } = self;
        let policy = if *policy == Policy::Accept { "accept" } else { "drop" };
        write!(f, "type {} hook {point} priority {priority}; policy {policy};", kind.name())
    }
}

/// Prints the name and the hook, not the rules, which are commands of their own.
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hook {
            Some(hook) => write!(f, "{} {{ {hook} }}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, expr) in self.exprs.iter().enumerate() {
            let gap = if place == 0 { "" } else { " " };
            write!(f, "{gap}{expr}")?;
        }
        commented(self.comment.as_deref()).fmt(f)
    }
}
