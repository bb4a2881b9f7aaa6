//! An nftables table's share of a plan: a skeleton that everybody shares, and elements that belong to the plan.
//!
//! The skeleton (table, sets, chains with their rules) is made whole or not at all and costs the same however many
//! containers there are; a container is one element per address, so that neither a packet nor an ADD pays for the
//! others. Elements carry their owner as a comment, which is how they are found again without their keys.

use std::fmt;

use kernel::nft::{Change, Element, Mapped, Set, Table, Transaction, Verdict, query};
use kernel::{Socket, nft};

use crate::Engine;
use crate::apply::Done;
use crate::error::{Cause, Difference, Error, Result};

/// How often to look again when somebody else changes the same table in between.
const TRIES: u32 = 64;

/// Elements of one table, and the skeleton they need.
#[derive(Debug, Clone, PartialEq)]
pub struct Nft {
    /// The table.
    pub table: Table,
    /// Its sets and maps.
    pub sets: Vec<Set>,
    /// Its chains with all their rules, in an order in which each can be made. The first is the one that the elements lead
    /// to: it goes with the last of them, and the table with the last such chain.
    pub chains: Vec<nft::Chain>,
    /// The elements, each with the name of its set.
    pub elements: Vec<(String, Element)>,
    /// The comment of every element.
    pub owner: String,
}

impl Nft {
    pub(crate) fn apply(&self, engine: &mut Engine) -> Result<Done> {
        let socket = engine.nft()?;
        // Asked first: a refused transaction costs a grace period, 10 ms and more, and two questions cost nothing.
        let mut transaction = match self.chains.first() {
            Some(chain) if query::chain(socket, &self.table, &chain.name)?.is_none() => {
                self.whole(socket, Vec::new())?
            }
            _ => self.elements_only(),
        };
        for _ in 0..TRIES {
            match transaction.commit(socket) {
                Ok(()) => return Ok(Done::Made),
                Err(error) if error.is_present() => match self.resolve(socket)? {
                    Some(next) => transaction = next,
                    None => return Ok(Done::Present),
                },
                Err(error) if error.is_absent() || error.errno == ERESTART => {
                    transaction = self.whole(socket, Vec::new())?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let what = format!("change table {}: somebody else keeps changing it", self.table);
        Err(Cause::Kernel(kernel::Error::new(what, EBUSY)).into())
    }

    fn elements_only(&self) -> Transaction {
        let mut transaction = Transaction::new();
        self.push_elements(&mut transaction);
        transaction
    }

    fn push_elements(&self, transaction: &mut Transaction) {
        for set in &self.sets {
            let elements: Vec<_> = self.elements_of(set).collect();
            if !elements.is_empty() {
                let (table, name) = (self.table.clone(), set.name.clone());
                transaction.push(Change::AddElements {
                    table,
                    set: name,
                    interval: set.interval,
                    elements,
                    create: true,
                });
            }
        }
    }

    fn elements_of<'a>(&'a self, set: &'a Set) -> impl Iterator<Item = Element> + 'a {
        let own = self.elements.iter().filter(|(name, _)| *name == set.name);
        own.map(|(_, element)| element.clone().commented(&self.owner))
    }

    /// The transaction that makes what is missing of the skeleton, and the elements in the place of `stale` ones.
    fn whole(&self, socket: &mut Socket, stale: Vec<(&Set, Element)>) -> kernel::Result<Transaction> {
        let generation = query::generation(socket)?;
        let mut transaction = Transaction::new();
        for (set, element) in stale {
            transaction.delete_elements(&self.table, set, vec![Element { data: None, comment: None, ..element }]);
        }
        transaction.add_table(&self.table);
        for set in &self.sets {
            transaction.add_set(&self.table, set);
        }
        for chain in &self.chains {
            if query::chain(socket, &self.table, &chain.name)?.is_some() {
                // A table that goes between this look and the commit would come back without it.
                transaction.at_generation(generation);
                continue;
            }
            // `create`, so that the rules of a chain are never there twice.
            let bare = nft::Chain { rules: Vec::new(), ..chain.clone() };
            transaction.push(Change::AddChain { table: self.table.clone(), chain: bare, create: true });
            for rule in &chain.rules {
                transaction.add_rule(&self.table, &chain.name, rule.clone());
            }
        }
        self.push_elements(&mut transaction);
        Ok(transaction)
    }

    /// Something was there already: a chain that somebody else has just made, or elements. Elements of a past owner of
    /// the address give way; `None` if all are there as they should be.
    fn resolve(&self, socket: &mut Socket) -> Result<Option<Transaction>> {
        let mut there = Vec::new();
        let mut missing = false;
        for set in &self.sets {
            for wanted in self.elements_of(set) {
                match query::element(socket, &self.table, set, &wanted.key)? {
                    Some(found) => {
                        missing |= found != wanted;
                        there.push((set, found));
                    }
                    None => missing = true,
                }
            }
        }
        // Elements are made anew with the others: one that is there already would refuse the whole transaction.
        if missing { self.whole(socket, there).map(Some).map_err(Error::from) } else { Ok(None) }
    }

    pub(crate) fn check(&self, engine: &mut Engine, differences: &mut Vec<Difference>) -> Result<()> {
        let socket = engine.nft()?;
        for chain in &self.chains {
            if query::chain(socket, &self.table, &chain.name)?.is_none() {
                differences.push(Difference::absent(format_args!("nft chain {} {}", self.table, chain.name)));
                continue;
            }
            let unlike = nft::unlike(socket, &self.table, chain)?;
            differences.extend(unlike.iter().map(|unlike| self.rule_differs(chain, unlike)));
        }
        for set in &self.sets {
            for wanted in self.elements_of(set) {
                let object = format!("nft element {} {} {{ {wanted} }}", self.table, set.name);
                match query::element(socket, &self.table, set, &wanted.key)? {
                    Some(found) if found == wanted => {}
                    Some(found) => differences.push(Difference::new(object, &wanted, found)),
                    None => differences.push(Difference::absent(object)),
                }
            }
        }
        Ok(())
    }

    fn rule_differs(&self, chain: &nft::Chain, unlike: &nft::Unlike) -> Difference {
        let object = format!("nft rule {} of chain {} {}", unlike.place, self.table, chain.name);
        match &unlike.wanted {
            Some(rule) if unlike.found => Difference::new(object, rule, "another"),
            Some(rule) => Difference::absent(format_args!("{object} ({rule})")),
            None => Difference::new(object, "absent", "present"),
        }
    }

    /// Deletes the owner's elements: those of the plan, or, where the plan does not know them, those with its comment.
    pub(crate) fn remove(&self, engine: &mut Engine) -> kernel::Result<()> {
        let socket = engine.nft()?;
        for attempt in 1..=TRIES {
            let own = self.owned(socket)?;
            if own.is_empty() {
                return Ok(());
            }
            // Under a stream of other changes the empty table is left for whoever is the next to be the last.
            let (transaction, used) = self.removal(socket, own, attempt < TRIES)?;
            match transaction.commit(socket) {
                Err(error) if [ENOENT, EBUSY, ERESTART].contains(&error.errno) => {}
                outcome => {
                    let outcome = outcome.and_then(|()| self.tidy(socket, &used));
                    engine.nft_has_deleted();
                    engine.had_marks = true;
                    return outcome;
                }
            }
        }
        Err(kernel::Error::new(format_args!("change table {}: somebody else keeps changing it", self.table), EBUSY))
    }

    /// The elements of the plan that are the owner's, or, where that is not all there is to find, every element with the
    /// owner's comment.
    fn owned(&self, socket: &mut Socket) -> kernel::Result<Vec<(&Set, Element)>> {
        let is_own = |element: &Element| element.comment.as_deref() == Some(&self.owner);
        let mut own = Vec::new();
        for set in &self.sets {
            for wanted in self.elements_of(set) {
                let found = query::element(socket, &self.table, set, &wanted.key)?;
                own.extend(found.filter(is_own).map(|element| (set, element)));
            }
        }
        if !own.is_empty() && own.len() == self.elements.len() {
            return Ok(own);
        }
        own.clear();
        for set in &self.sets {
            let found = query::elements(socket, &self.table, set)?;
            own.extend(found.into_iter().filter(is_own).map(|element| (set, element)));
        }
        Ok(own)
    }

    /// The transaction that deletes `own`, the chains that nothing leads to any more, and the table with its last such
    /// chain if `whole`. The kernel refuses to delete a chain (`EBUSY`) that somebody has come to use since this look.
    ///
    /// With it come the chains that others still lead to.
    fn removal(
        &self,
        socket: &mut Socket,
        own: Vec<(&Set, Element)>,
        whole: bool,
    ) -> kernel::Result<(Transaction, Vec<String>)> {
        let generation = query::generation(socket)?;
        let mut targets: Vec<String> =
            own.iter().filter_map(|(_, element)| target(element)).map(str::to_owned).collect();
        targets.sort_unstable();
        let mut transaction = Transaction::new();
        for (set, element) in own {
            transaction.delete_elements(&self.table, set, vec![Element { data: None, comment: None, ..element }]);
        }
        let (mut unused, mut used) = (Vec::new(), Vec::new());
        for same in targets.chunk_by(|one, other| one == other) {
            let [chain, ..] = same else { continue };
            let rules = query::rules(socket, &self.table, chain)?.len() as u32;
            if nft::chain_users(socket, &self.table, chain)? == Some(rules + same.len() as u32) {
                unused.push(chain.clone());
            } else {
                used.push(chain.clone());
            }
        }
        Ok((self.without(socket, transaction, &unused, whole.then_some(generation))?, used))
    }

    /// `transaction`, and the deletion of the chains `unused`; or instead of both that of the table, if it would be empty
    /// and is still as it was at `generation`.
    fn without(
        &self,
        socket: &mut Socket,
        mut transaction: Transaction,
        unused: &[String],
        generation: Option<u32>,
    ) -> kernel::Result<Transaction> {
        let skeleton = self.sets.len() + self.chains.len().saturating_sub(1);
        if let Some(generation) = generation.filter(|_| !unused.is_empty())
            && nft::table_users(socket, &self.table)? == Some((skeleton + unused.len()) as u32)
        {
            // Deleting a table asks nobody, so nobody may have come to use it between this look and the commit.
            let mut transaction = Transaction::new();
            transaction.at_generation(generation).push(Change::DeleteTable { table: self.table.clone() });
            return Ok(transaction);
        }
        for chain in unused {
            transaction.push(Change::DeleteChain { table: self.table.clone(), chain: chain.clone() });
        }
        Ok(transaction)
    }

    /// Looks again at the chains that others led to before the own elements were gone, and at the table: of several that
    /// remove theirs at the same time each sees the others', and only the last of them sees that nobody is left.
    fn tidy(&self, socket: &mut Socket, used: &[String]) -> kernel::Result<()> {
        let skeleton = self.sets.len() + self.chains.len().saturating_sub(1);
        for _ in 0..TRIES {
            let generation = query::generation(socket)?;
            let mut unused = Vec::new();
            for chain in used {
                let rules = query::rules(socket, &self.table, chain)?.len() as u32;
                if nft::chain_users(socket, &self.table, chain)? == Some(rules) {
                    unused.push(chain.clone());
                }
            }
            let is_empty = unused.is_empty() && nft::table_users(socket, &self.table)? == Some(skeleton as u32);
            let mut transaction = Transaction::new();
            if is_empty {
                transaction.at_generation(generation).push(Change::DeleteTable { table: self.table.clone() });
            } else if unused.is_empty() {
                return Ok(());
            } else {
                transaction = self.without(socket, transaction, &unused, Some(generation))?;
            }
            match transaction.commit(socket) {
                Err(error) if [ENOENT, EBUSY, ERESTART].contains(&error.errno) => {}
                outcome => return outcome,
            }
        }
        // Somebody keeps changing the ruleset: the next to be the last will see to it.
        Ok(())
    }
}

/// The chain that an element leads to.
fn target(element: &Element) -> Option<&str> {
    match &element.data {
        Some(Mapped::Verdict(Verdict::Goto(chain) | Verdict::Jump(chain))) => Some(chain),
        _ => None,
    }
}

const ENOENT: i32 = 2;
const EBUSY: i32 = 16;
/// The kernel's own, for a batch whose generation has passed.
const ERESTART: i32 = 85;

impl fmt::Display for Nft {
    /// The elements as `nft add element` takes them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (set, element)) in self.elements.iter().enumerate() {
            let element = element.clone().commented(&self.owner);
            write!(f, "{}add element {} {set} {{ {element} }}", if index > 0 { "; " } else { "" }, self.table)?;
        }
        Ok(())
    }
}

impl From<Error> for kernel::Error {
    /// In the kernel's shape, for callers that collect what went wrong.
    fn from(error: Error) -> Self {
        match error.cause {
            Cause::Kernel(error) => error,
            other => Self { what: other.to_string(), errno: 0, extack: None },
        }
    }
}
