//! A transaction: changes collected as data, sent in one write, all done or none.
//!
//! Only the last change asks for an acknowledgement: the kernel answers it behind the errors of those before it, so a
//! success costs two system calls however many changes there are. Every change prints as an nft command, which is
//! also how an error names the one that was refused. Kernel: `nfnetlink_rcv_batch` in `net/netfilter/nfnetlink.c`.

use std::fmt;

use netlink_bindings::nftables as codec;
use netlink_bindings::traits::Pusher;

use super::chain::{Chain, Policy, Rule};
use super::element::Element;
use super::set::Set;
use super::value::{commented, concatenation};
use super::{Table, encode, nfgenmsg, userdata};
use crate::error::Result;
use crate::netlink::Socket;
use crate::netlink::message::header;

const CREATE: u16 = libc::NLM_F_CREATE as u16;
const EXCLUSIVE: u16 = libc::NLM_F_EXCL as u16;
const APPEND: u16 = libc::NLM_F_APPEND as u16;
const HEADER: usize = 16;
/// An attribute's length has sixteen bits: more elements than this go into the next message.
const ELEMENTS_BYTES: usize = 48 << 10;

/// One change of the ruleset. `create` means that the object must not be there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the objects that the variants name")]
pub enum Change {
    /// `add table` or `create table`.
    AddTable { table: Table, create: bool },
    /// `delete table`, with all that is in it.
    DeleteTable { table: Table },
    /// `add chain` or `create chain`, without its rules.
    AddChain { table: Table, chain: Chain, create: bool },
    /// `delete chain`; it must be empty and nothing may jump to it.
    DeleteChain { table: Table, chain: String },
    /// `add rule`, at the end of the chain.
    AddRule { table: Table, chain: String, rule: Rule },
    /// `insert rule`, at the head of the chain.
    InsertRule { table: Table, chain: String, rule: Rule },
    /// `delete rule`, by its handle.
    DeleteRule { table: Table, chain: String, handle: u64 },
    /// `flush chain`: deletes its rules.
    FlushChain { table: Table, chain: String },
    /// `add set`, `add map` or `create` of them.
    AddSet { table: Table, set: Set, create: bool },
    /// `delete set`; no rule may use it.
    DeleteSet { table: Table, set: String },
    /// `add element` or `create element`.
    AddElements { table: Table, set: String, interval: bool, elements: Vec<Element>, create: bool },
    /// `delete element`, by their keys.
    DeleteElements { table: Table, set: String, interval: bool, elements: Vec<Element> },
}

/// Changes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    changes: Vec<Change>,
    generation: Option<u32>,
}

impl Transaction {
    /// An empty transaction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses to commit (`ERESTART`) unless the ruleset is still at `generation`, see `query::generation`.
    pub fn at_generation(&mut self, generation: u32) -> &mut Self {
        self.generation = Some(generation);
        self
    }

    /// Adds any change.
    pub fn push(&mut self, change: Change) -> &mut Self {
        self.changes.push(change);
        self
    }

    /// Adds a table; one that is there already stays as it is.
    pub fn add_table(&mut self, table: &Table) -> &mut Self {
        self.push(Change::AddTable { table: table.clone(), create: false })
    }

    /// Adds a chain and appends its rules; of a chain that is there already only the rules are new.
    pub fn add_chain(&mut self, table: &Table, chain: &Chain) -> &mut Self {
        let bare = Chain { rules: Vec::new(), ..chain.clone() };
        self.push(Change::AddChain { table: table.clone(), chain: bare, create: false });
        for rule in &chain.rules {
            self.add_rule(table, &chain.name, rule.clone());
        }
        self
    }

    /// Appends a rule.
    pub fn add_rule(&mut self, table: &Table, chain: &str, rule: Rule) -> &mut Self {
        self.push(Change::AddRule { table: table.clone(), chain: chain.to_owned(), rule })
    }

    /// Deletes the rule with that handle.
    pub fn delete_rule(&mut self, table: &Table, chain: &str, handle: u64) -> &mut Self {
        self.push(Change::DeleteRule { table: table.clone(), chain: chain.to_owned(), handle })
    }

    /// Adds a set or map; one that is there already must be alike.
    pub fn add_set(&mut self, table: &Table, set: &Set) -> &mut Self {
        self.push(Change::AddSet { table: table.clone(), set: set.clone(), create: false })
    }

    /// Adds elements; of those that are there already a map's data must be alike, and the comment stays.
    pub fn add_elements(&mut self, table: &Table, set: &Set, elements: Vec<Element>) -> &mut Self {
        let (set, interval) = (set.name.clone(), set.interval);
        self.push(Change::AddElements { table: table.clone(), set, interval, elements, create: false })
    }

    /// Deletes elements by their keys; one that is not there refuses the transaction (`ENOENT`).
    pub fn delete_elements(&mut self, table: &Table, set: &Set, elements: Vec<Element>) -> &mut Self {
        let (set, interval) = (set.name.clone(), set.interval);
        self.push(Change::DeleteElements { table: table.clone(), set, interval, elements })
    }

    /// The changes, in the order in which they were added.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Sends all changes in one write. An empty transaction sends nothing.
    ///
    /// # Errors
    /// The first change that the kernel refused, its errno and extack text: then nothing was changed.
    pub fn commit(&self, socket: &mut Socket) -> Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let mut batch = Batch { bytes: Vec::with_capacity(4 << 10), owners: Vec::new() };
        batch.delimit(libc::NFNL_MSG_BATCH_BEGIN, self.generation);
        for (owner, change) in self.changes.iter().enumerate() {
            batch.push(change, owner);
        }
        batch.delimit(libc::NFNL_MSG_BATCH_END, None);
        let first = socket.take_sequences(batch.owners.len() as u32);
        batch.finish(first);
        socket.batch(&batch.bytes, first, batch.owners.len() as u32 - 2, &|place| match batch
            .owners
            .get(place as usize)
            .and_then(|(_, owner)| self.changes.get(*owner))
        {
            Some(change) => change.in_short(),
            None => "change the nftables ruleset".to_owned(),
        })
    }
}

/// Netlink messages one behind the other, and for each its offset and the change that it belongs to.
struct Batch {
    bytes: Vec<u8>,
    owners: Vec<(usize, usize)>,
}

impl Batch {
    /// Appends a message whose attributes `write` pushes behind the header.
    fn message(&mut self, kind: i32, flags: u16, owner: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.owners.push((start, owner));
        self.bytes.extend([0; HEADER]);
        write(&mut self.bytes);
        let length = self.bytes.len() - start - HEADER;
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let flags = flags | libc::NLM_F_REQUEST as u16;
        self.bytes[start..start + HEADER].copy_from_slice(&header(length, kind as u16, flags, 0));
    }

    /// Begins or ends the transaction.
    fn delimit(&mut self, kind: i32, generation: Option<u32>) {
        self.message(kind, 0, usize::MAX, |bytes| {
            let header = nfgenmsg(libc::AF_UNSPEC as u8, libc::NFNL_SUBSYS_NFTABLES as u16);
            let attributes = codec::OpBatchBeginDo::encode_request(bytes, &header);
            if let Some(generation) = generation {
                attributes.push_genid(generation);
            }
        });
    }

    /// Numbers the messages, and lets the last one before the end ask for an acknowledgement.
    fn finish(&mut self, first: u32) {
        let last = self.owners.len() - 2;
        for (place, (start, _)) in self.owners.iter().enumerate() {
            let header = &mut self.bytes[*start..start + HEADER];
            header[8..12].copy_from_slice(&(first + place as u32).to_ne_bytes());
            if place == last {
                header[6] |= libc::NLM_F_ACK as u8;
            }
        }
    }

    fn push(&mut self, change: &Change, owner: usize) {
        let flags = |create: &bool| if *create { CREATE | EXCLUSIVE } else { CREATE };
        match change {
            Change::AddTable { table, create } => {
                self.nft(libc::NFT_MSG_NEWTABLE, flags(create), owner, |bytes| write_table(bytes, table));
            }
            Change::DeleteTable { table } => {
                self.nft(libc::NFT_MSG_DELTABLE, 0, owner, |bytes| name_table(bytes, table));
            }
            Change::AddChain { table, chain, create } => {
                self.nft(libc::NFT_MSG_NEWCHAIN, flags(create), owner, |bytes| write_chain(bytes, table, chain));
            }
            Change::DeleteChain { table, chain } => {
                self.nft(libc::NFT_MSG_DELCHAIN, 0, owner, |bytes| name_chain(bytes, table, chain));
            }
            Change::AddRule { table, chain, rule } => {
                self.nft(libc::NFT_MSG_NEWRULE, CREATE | APPEND, owner, |bytes| write_rule(bytes, table, chain, rule));
            }
            Change::InsertRule { table, chain, rule } => {
                self.nft(libc::NFT_MSG_NEWRULE, CREATE, owner, |bytes| write_rule(bytes, table, chain, rule));
            }
            Change::DeleteRule { table, chain, handle } => self.delete_rules(table, chain, Some(*handle), owner),
            Change::FlushChain { table, chain } => self.delete_rules(table, chain, None, owner),
            Change::AddSet { table, set, create } => {
                self.nft(libc::NFT_MSG_NEWSET, flags(create), owner, |bytes| write_set(bytes, table, set, owner));
            }
            Change::DeleteSet { table, set } => {
                self.nft(libc::NFT_MSG_DELSET, 0, owner, |bytes| name_set(bytes, table, set));
            }
            Change::AddElements { table, set, interval, elements, create } => {
                self.elements((libc::NFT_MSG_NEWSETELEM, flags(create)), owner, (table, set), *interval, elements);
            }
            Change::DeleteElements { table, set, interval, elements } => {
                self.elements((libc::NFT_MSG_DELSETELEM, 0), owner, (table, set), *interval, elements);
            }
        }
    }

    fn nft(&mut self, kind: i32, flags: u16, owner: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.message(libc::NFNL_SUBSYS_NFTABLES << 8 | kind, flags, owner, write);
    }

    fn delete_rules(&mut self, table: &Table, chain: &str, handle: Option<u64>, owner: usize) {
        self.nft(libc::NFT_MSG_DELRULE, 0, owner, |bytes| {
            let attributes = codec::OpDelruleDo::encode_request(bytes, &table.family.header());
            let attributes = attributes.push_table_bytes(table.name.as_bytes()).push_chain_bytes(chain.as_bytes());
            if let Some(handle) = handle {
                attributes.push_handle(handle);
            }
        });
    }

    /// As many messages as the elements need.
    fn elements(
        &mut self,
        (kind, flags): (i32, u16),
        owner: usize,
        (table, set): (&Table, &str),
        interval: bool,
        elements: &[Element],
    ) {
        let mut rest = elements.iter().peekable();
        while rest.peek().is_some() {
            self.nft(kind, flags, owner, |bytes| {
                let start = bytes.len();
                let attributes = codec::OpNewsetelemDo::encode_request(bytes, &table.family.header());
                let attributes = attributes.push_table_bytes(table.name.as_bytes()).push_set_bytes(set.as_bytes());
                let mut list = attributes.nested_elements();
                while let Some(element) = rest.next_if(|_| list.as_vec().len() - start < ELEMENTS_BYTES) {
                    list = element.write(list, interval);
                }
            });
        }
    }
}

fn name_table(bytes: &mut Vec<u8>, table: &Table) {
    codec::OpDeltableDo::encode_request(bytes, &table.family.header()).push_name_bytes(table.name.as_bytes());
}

fn name_chain(bytes: &mut Vec<u8>, table: &Table, chain: &str) {
    let attributes = codec::OpDelchainDo::encode_request(bytes, &table.family.header());
    attributes.push_table_bytes(table.name.as_bytes()).push_name_bytes(chain.as_bytes());
}

fn name_set(bytes: &mut Vec<u8>, table: &Table, set: &str) {
    let attributes = codec::OpDelsetDo::encode_request(bytes, &table.family.header());
    attributes.push_table_bytes(table.name.as_bytes()).push_name_bytes(set.as_bytes());
}

fn write_table(bytes: &mut Vec<u8>, table: &Table) {
    let attributes = codec::OpNewtableDo::encode_request(bytes, &table.family.header());
    let attributes = attributes.push_name_bytes(table.name.as_bytes()).push_flags(0);
    if let Some(comment) = &table.comment {
        attributes.push_userdata(&userdata::comment(comment));
    }
}

/// The place of the change is the set's number within the transaction.
fn write_set(bytes: &mut Vec<u8>, table: &Table, set: &Set, place: usize) {
    let attributes = codec::OpNewsetDo::encode_request(bytes, &table.family.header());
    set.write(attributes.push_table_bytes(table.name.as_bytes()), place as u32 + 1);
}

fn write_chain(bytes: &mut Vec<u8>, table: &Table, chain: &Chain) {
    let attributes = codec::OpNewchainDo::encode_request(bytes, &table.family.header());
    let attributes = attributes.push_table_bytes(table.name.as_bytes()).push_name_bytes(chain.name.as_bytes());
    if let Some(hook) = &chain.hook {
        let policy = if hook.policy == Policy::Accept { libc::NF_ACCEPT } else { libc::NF_DROP };
        let attributes = attributes.push_type_bytes(hook.kind.name().as_bytes()).push_policy(policy as u32);
        attributes.nested_hook().push_num(hook.point.number()).push_priority(hook.priority);
    }
}

fn write_rule(bytes: &mut Vec<u8>, table: &Table, chain: &str, rule: &Rule) {
    let attributes = codec::OpNewruleDo::encode_request(bytes, &table.family.header());
    let attributes = attributes.push_table_bytes(table.name.as_bytes()).push_chain_bytes(chain.as_bytes());
    let mut list = attributes.nested_expressions();
    encode::expressions(list.as_vec_mut(), table.family, &rule.exprs);
    let attributes = list.end_nested();
    if let Some(comment) = &rule.comment {
        attributes.push_userdata(&userdata::comment(comment));
    }
}

impl Change {
    /// The command, cut where it is long: what an error says.
    fn in_short(&self) -> String {
        const LENGTH: usize = 200;
        let mut text = self.to_string();
        if text.len() > LENGTH {
            text.truncate(text.floor_char_boundary(LENGTH));
            text.push_str(" …");
        }
        text
    }
}

/// Prints the nft command.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let add = |create: &bool| if *create { "create" } else { "add" };
        match self {
            Self::AddTable { table, create } => match table.comment.as_deref() {
                Some(_) => write!(f, "{} table {table} {{{}; }}", add(create), commented(table.comment.as_deref())),
                None => write!(f, "{} table {table}", add(create)),
            },
            Self::DeleteTable { table } => write!(f, "delete table {table}"),
            Self::AddChain { table, chain, create } => write!(f, "{} chain {table} {chain}", add(create)),
            Self::DeleteChain { table, chain } => write!(f, "delete chain {table} {chain}"),
            Self::AddRule { table, chain, rule } => write!(f, "add rule {table} {chain} {rule}"),
            Self::InsertRule { table, chain, rule } => write!(f, "insert rule {table} {chain} {rule}"),
            Self::DeleteRule { table, chain, handle } => write!(f, "delete rule {table} {chain} handle {handle}"),
            Self::FlushChain { table, chain } => write!(f, "flush chain {table} {chain}"),
            Self::AddSet { table, set, create } => {
                let kind = if set.data.is_some() { "map" } else { "set" };
                write!(f, "{} {kind} {table} {set}", add(create))
            }
            Self::DeleteSet { table, set } => write!(f, "delete set {table} {set}"),
            Self::AddElements { table, set, elements, create, .. } => {
                write!(f, "{} element {table} {set} {{ ", add(create))?;
                listed(f, elements, |element| element.to_string())
            }
            Self::DeleteElements { table, set, elements, .. } => {
                write!(f, "delete element {table} {set} {{ ")?;
                listed(f, elements, |element| concatenation(&element.key).to_string())
            }
        }
    }
}

fn listed(f: &mut fmt::Formatter<'_>, elements: &[Element], show: impl Fn(&Element) -> String) -> fmt::Result {
    for (place, element) in elements.iter().enumerate() {
        let gap = if place == 0 { "" } else { ", " };
        write!(f, "{gap}{}", show(element))?;
    }
    f.write_str(" }")
}

/// Prints the commands, one a line.
impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes.iter().try_for_each(|change| writeln!(f, "{change}"))
    }
}
