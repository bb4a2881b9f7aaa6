//! Rules as the kernel's bytecode, transcribed from what `nft --debug=netlink` prints for the same rule.
//!
//! A rule is a row of loads into registers, comparisons and verdicts. nft prints a rule back only if the row is the one
//! it would have made itself: with a match on the packet's family before `ip saddr` in an `inet` table, on the link's
//! type before `ether saddr`, with a load cut short instead of a mask where a prefix ends on a byte.

use std::net::IpAddr;

use netlink_bindings::nftables::{CmpOps, CtKeys, FibFlags, MetaKeys, PayloadBase, VerdictCode};
use netlink_bindings::nftables::{PushDataAttrs, PushExprAttrs, PushExprListAttrs, PushExprMasqAttrs};
use netlink_bindings::traits::Pusher;
use netlink_bindings::utils::{finalize_nested_header, push_header, push_nested_header};

use super::Family;
use super::expr::{Expr, Selector, Verdict};
use super::value::{Field, Value};

/// The register that holds a verdict.
const VERDICT: u32 = 0;
/// `NF_NAT_RANGE_MAP_IPS`, which the kernel adds by itself, and `NF_NAT_RANGE_PROTO_SPECIFIED`.
const ADDRESS_AND_PORT: u32 = 1 | 2;
/// `NF_NAT_RANGE_PROTO_RANDOM_FULLY`.
const FULLY_RANDOM: u32 = 16;
const NFT_NAT_DNAT: u32 = 1;
/// `enum nft_fib_result`; the codec's begins at 0, the kernel's at 1.
const FIB_RESULT_ADDRTYPE: u32 = 3;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_LOOKUP_SET: u16 = 1;
const NFTA_LOOKUP_SREG: u16 = 2;
const NFTA_LOOKUP_DREG: u16 = 3;
const NFTA_LOOKUP_FLAGS: u16 = 5;
const NFT_LOOKUP_F_INV: u32 = 1;
const IPS_DST_NAT: u32 = 1 << 5;
const ARPHRD_ETHER: u16 = libc::ARPHRD_ETHER;

/// How a selector's value gets into a register.
enum Load {
    Meta(MetaKeys),
    Payload(PayloadBase, u32),
}

/// What must be known of a packet before a part of it can be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    NfProto(u8),
    EtherType(u16),
    EtherLink,
    Transport(u8),
}

impl Selector {
    /// The type of the selector's value.
    const fn field(self) -> Field {
        match self {
            Self::IpSaddr | Self::IpDaddr => Field::Ipv4Addr,
            Self::Ip6Saddr | Self::Ip6Daddr => Field::Ipv6Addr,
            Self::EtherSaddr => Field::EtherAddr,
            Self::EtherType => Field::EtherType,
            Self::TcpDport | Self::UdpDport | Self::ThDport => Field::InetService,
            Self::IifName | Self::OifName => Field::Ifname,
            Self::L4Proto => Field::InetProto,
            Self::NfProto => Field::NfProto,
            Self::Mark => Field::Mark,
        }
    }

    const fn load(self) -> Load {
        match self {
            Self::IpSaddr => Load::Payload(PayloadBase::NetworkHeader, 12),
            Self::IpDaddr => Load::Payload(PayloadBase::NetworkHeader, 16),
            Self::Ip6Saddr => Load::Payload(PayloadBase::NetworkHeader, 8),
            Self::Ip6Daddr => Load::Payload(PayloadBase::NetworkHeader, 24),
            Self::EtherSaddr => Load::Payload(PayloadBase::LinkLayerHeader, 6),
            Self::EtherType => Load::Payload(PayloadBase::LinkLayerHeader, 12),
            Self::TcpDport | Self::UdpDport | Self::ThDport => Load::Payload(PayloadBase::TransportHeader, 2),
            Self::IifName => Load::Meta(MetaKeys::Iifname),
            Self::OifName => Load::Meta(MetaKeys::Oifname),
            Self::L4Proto => Load::Meta(MetaKeys::L4Proto),
            Self::NfProto => Load::Meta(MetaKeys::Nfproto),
            Self::Mark => Load::Meta(MetaKeys::Mark),
        }
    }

    fn need(self, family: Family) -> Option<Need> {
        match (self, family) {
            (Self::IpSaddr | Self::IpDaddr, Family::Inet) => Some(Need::NfProto(libc::NFPROTO_IPV4 as u8)),
            (Self::Ip6Saddr | Self::Ip6Daddr, Family::Inet) => Some(Need::NfProto(libc::NFPROTO_IPV6 as u8)),
            (Self::IpSaddr | Self::IpDaddr, Family::Bridge) => Some(Need::EtherType(libc::ETH_P_IP as u16)),
            (Self::Ip6Saddr | Self::Ip6Daddr, Family::Bridge) => Some(Need::EtherType(libc::ETH_P_IPV6 as u16)),
            (Self::EtherSaddr | Self::EtherType, Family::Inet | Family::Ip | Family::Ip6) => Some(Need::EtherLink),
            (Self::TcpDport, _) => Some(Need::Transport(libc::IPPROTO_TCP as u8)),
            (Self::UdpDport, _) => Some(Need::Transport(libc::IPPROTO_UDP as u8)),
            _ => None,
        }
    }
}

/// The name of the 32-bit register at `word`: a 128-bit one where it begins there, as nft writes it.
const fn register(word: usize) -> u32 {
    if word.is_multiple_of(4) { 1 + word as u32 / 4 } else { 8 + word as u32 }
}

/// Appends the expressions of one rule of `family` to `buffer`, as elements of `NFTA_RULE_EXPRESSIONS`.
pub(super) fn expressions(buffer: &mut Vec<u8>, family: Family, exprs: &[Expr]) {
    let mut rule = Rule { buffer, family, known: Vec::new() };
    for expr in exprs {
        rule.push(expr);
    }
}

/// Writes a verdict as the data of an element or of an immediate.
pub(super) fn verdict<P: Pusher>(data: PushDataAttrs<P>, verdict: &Verdict) -> PushDataAttrs<P> {
    let (code, chain) = match verdict {
        Verdict::Accept => (VerdictCode::Accept, None),
        Verdict::Drop => (VerdictCode::Drop, None),
        Verdict::Return => (VerdictCode::Return, None),
        Verdict::Jump(chain) => (VerdictCode::Jump, Some(chain)),
        Verdict::Goto(chain) => (VerdictCode::Goto, Some(chain)),
    };
    let attributes = data.nested_verdict().push_code(code as u32);
    match chain {
        Some(chain) => attributes.push_chain_bytes(chain.as_bytes()).end_nested(),
        None => attributes.end_nested(),
    }
}

/// A rule in the making, and what its matches so far say of the packet.
struct Rule<'a> {
    buffer: &'a mut Vec<u8>,
    family: Family,
    known: Vec<Need>,
}

impl Rule<'_> {
    fn push(&mut self, expr: &Expr) {
        match expr {
            Expr::Match { left, negate, right } => self.compare(*left, *negate, right),
            Expr::MarkBits { mask, value } => {
                self.load(Selector::Mark, 0);
                self.mask(&mask.to_ne_bytes(), &[0; 4]);
                self.cmp(false, &value.to_ne_bytes());
            }
            Expr::SetMarkBits(bits) => {
                self.load(Selector::Mark, 0);
                self.mask(&(!bits).to_ne_bytes(), &bits.to_ne_bytes());
                self.expression().nested_data_meta().push_key(MetaKeys::Mark as u32).push_sreg(register(0));
            }
            Expr::Lookup { key, negate, set } => {
                self.load_key(key);
                self.lookup(set, negate.then_some((NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV)));
            }
            Expr::VerdictMap { key, map } => self.lookup_map(key, map, VERDICT),
            Expr::CtState(states) => self.ct(CtKeys::State, states.bits()),
            Expr::CtDnat => self.ct(CtKeys::Status, IPS_DST_NAT),
            Expr::FibLocal => self.fib_local(),
            Expr::Counter => {
                self.expression().nested_data_counter().push_bytes(0).push_packets(0);
            }
            Expr::Masquerade { fully_random } => self.masquerade(*fully_random),
            Expr::Dnat { address, port } => self.dnat(*address, *port),
            Expr::DnatMap { ipv6, key, map } => {
                self.lookup_map(key, map, register(0));
                let (family, words) = if *ipv6 { (libc::NFPROTO_IPV6, 4) } else { (libc::NFPROTO_IPV4, 1) };
                self.nat(family, Some(register(words)), 0);
            }
            Expr::Verdict(which) => {
                let immediate = self.expression().nested_data_immediate().push_dreg(VERDICT);
                verdict(immediate.nested_data(), which);
            }
        }
    }

    /// One more expression; what is pushed behind it is closed when it is dropped.
    fn expression(&mut self) -> PushExprAttrs<PushExprListAttrs<&mut Vec<u8>>> {
        PushExprListAttrs::new(&mut *self.buffer).nested_elem()
    }

    fn compare(&mut self, left: Selector, negate: bool, right: &Value) {
        self.require(left);
        let mut bytes = Vec::with_capacity(16);
        right.write(&mut bytes);
        match right {
            Value::Net(net) if net.prefix_len() > 0 && net.prefix_len().is_multiple_of(8) => {
                bytes.truncate(usize::from(net.prefix_len() / 8));
                self.load_bytes(left, 0, bytes.len());
            }
            Value::Net(net) => {
                self.load(left, 0);
                let mut mask = Vec::with_capacity(16);
                Value::Ip(net.netmask()).write(&mut mask);
                let zeros = vec![0; mask.len()];
                self.mask(&mask, &zeros);
            }
            Value::Ifname(name) if name.ends_with('*') => {
                self.load(left, 0);
                bytes.truncate(name.len() - 1);
            }
            _ => self.load(left, 0),
        }
        self.cmp(negate, &bytes);
        if !negate && let Some(known) = learned(left, right) {
            self.known.push(known);
        }
    }

    /// Makes sure that the packet has `selector`.
    fn require(&mut self, selector: Selector) {
        let Some(need) = selector.need(self.family).filter(|need| !self.known.contains(need)) else { return };
        self.known.push(need);
        let (key, bytes) = match need {
            Need::NfProto(number) => (MetaKeys::Nfproto, vec![number]),
            Need::EtherType(number) => (MetaKeys::Protocol, number.to_be_bytes().to_vec()),
            Need::EtherLink => (MetaKeys::Iftype, ARPHRD_ETHER.to_ne_bytes().to_vec()),
            Need::Transport(number) => (MetaKeys::L4Proto, vec![number]),
        };
        self.meta(key, register(0));
        self.cmp(false, &bytes);
    }

    fn load_key(&mut self, key: &[Selector]) {
        for selector in key {
            self.require(*selector);
        }
        let mut word = 0;
        for selector in key {
            self.load(*selector, word);
            word += selector.field().padded() / 4;
        }
    }

    fn load(&mut self, selector: Selector, word: usize) {
        self.load_bytes(selector, word, selector.field().length());
    }

    fn load_bytes(&mut self, selector: Selector, word: usize, length: usize) {
        match selector.load() {
            Load::Meta(key) => self.meta(key, register(word)),
            Load::Payload(base, offset) => {
                let payload = self.expression().nested_data_payload().push_dreg(register(word));
                payload.push_base(base as u32).push_offset(offset).push_len(length as u32);
            }
        }
    }

    fn meta(&mut self, key: MetaKeys, into: u32) {
        self.expression().nested_data_meta().push_dreg(into).push_key(key as u32);
    }

    fn cmp(&mut self, negate: bool, bytes: &[u8]) {
        let op = if negate { CmpOps::Neq } else { CmpOps::Eq };
        let cmp = self.expression().nested_data_cmp().push_sreg(register(0)).push_op(op as u32);
        cmp.nested_data().push_value(bytes);
    }

    /// `register = (register & mask) ^ xor`.
    fn mask(&mut self, mask: &[u8], xor: &[u8]) {
        let bitwise = self.expression().nested_data_bitwise().push_sreg(register(0)).push_dreg(register(0));
        let bitwise = bitwise.push_len(mask.len() as u32);
        let bitwise = bitwise.nested_mask().push_value(mask).end_nested();
        bitwise.nested_xor().push_value(xor);
    }

    fn lookup_map(&mut self, key: &[Selector], map: &str, into: u32) {
        self.load_key(key);
        self.lookup(map, Some((NFTA_LOOKUP_DREG, into)));
    }

    /// By hand: the codec numbers these attributes in another order than the kernel.
    fn lookup(&mut self, set: &str, number: Option<(u16, u32)>) {
        let mut expression = self.expression().push_name(c"lookup");
        let buffer = expression.as_vec_mut();
        let data = push_nested_header(buffer, NFTA_EXPR_DATA);
        push_header(buffer, NFTA_LOOKUP_SET, set.len() as u16 + 1);
        buffer.extend(set.as_bytes());
        buffer.push(0);
        for (attribute, number) in [Some((NFTA_LOOKUP_SREG, register(0))), number].into_iter().flatten() {
            push_header(buffer, attribute, 4);
            buffer.extend(number.to_be_bytes());
        }
        finalize_nested_header(buffer, data);
    }

    fn ct(&mut self, key: CtKeys, bits: u32) {
        self.expression().nested_data_ct().push_dreg(register(0)).push_key(key as u32);
        self.mask(&bits.to_ne_bytes(), &[0; 4]);
        self.cmp(true, &[0; 4]);
    }

    /// By hand: the codec's list of expressions lacks this one.
    fn masquerade(&mut self, fully_random: bool) {
        let mut expression = self.expression().push_name(c"masq");
        let data = push_nested_header(expression.as_vec_mut(), NFTA_EXPR_DATA);
        if fully_random {
            PushExprMasqAttrs::new(expression.as_vec_mut()).push_flags(FULLY_RANDOM);
        }
        finalize_nested_header(expression.as_vec_mut(), data);
    }

    fn fib_local(&mut self) {
        let fib = self.expression().nested_data_fib().push_dreg(register(0));
        fib.push_result(FIB_RESULT_ADDRTYPE).push_flags(FibFlags::Daddr as u32);
        self.cmp(false, &u32::from(libc::RTN_LOCAL).to_ne_bytes());
    }

    fn dnat(&mut self, address: IpAddr, port: Option<u16>) {
        let mut bytes = Vec::with_capacity(16);
        Value::Ip(address).write(&mut bytes);
        self.immediate(register(0), &bytes);
        let family = if address.is_ipv4() { libc::NFPROTO_IPV4 } else { libc::NFPROTO_IPV6 };
        let Some(port) = port else { return self.nat(family, None, 0) };
        self.immediate(register(4), &port.to_be_bytes());
        self.nat(family, Some(register(4)), ADDRESS_AND_PORT);
    }

    fn immediate(&mut self, into: u32, bytes: &[u8]) {
        self.expression().nested_data_immediate().push_dreg(into).nested_data().push_value(bytes);
    }

    fn nat(&mut self, family: libc::c_int, port: Option<u32>, flags: u32) {
        let nat = self.expression().nested_data_nat().push_type(NFT_NAT_DNAT).push_family(family as u32);
        let nat = nat.push_reg_addr_min(register(0));
        let Some(port) = port else { return };
        let nat = nat.push_reg_proto_min(port);
        if flags != 0 {
            nat.push_flags(flags);
        }
    }
}

/// What a match that held says of the packet, so that it need not be asked twice.
fn learned(left: Selector, right: &Value) -> Option<Need> {
    match (left, right) {
        (Selector::L4Proto, Value::Proto(number)) => Some(Need::Transport(*number)),
        (Selector::NfProto, Value::NfProto(number)) => Some(Need::NfProto(*number)),
        _ => None,
    }
}
