//! Rules do what they say: packets between namespaces, translated and forgotten.

use std::net::UdpSocket;
use std::sync::mpsc;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use kernel::nft::{
    Chain, Data, Element, Expr, Family, Field, Hook, Kind, Mapped, Point, Selector, Set, Table, Transaction, Value,
};

use crate::namespace::{fresh, run, socket};

fn ip(text: &str) -> Value {
    Value::Ip(text.parse().expect("an address"))
}

/// Makes a host with a container 10.77.0.2 and an outside 192.0.2.2, each in a namespace of its own, and runs `inside`
/// and `outside` in theirs once `host` is done in its.
fn topology(host: impl FnOnce() + Send, inside: impl FnOnce() + Send, outside: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let container = Neighbour::new(scope, "10.77.0.2/24", move || {
            run("ip route add default via 10.77.0.1", "");
            inside();
        });
        let beyond = Neighbour::new(scope, "192.0.2.2/24", outside);
        // Moved, so that the neighbours' threads fail when the host does, instead of waiting for ever.
        fresh(move || {
            for (link, thread, address) in
                [("c", container.number, "10.77.0.1/24"), ("o", beyond.number, "192.0.2.1/24")]
            {
                run(&format!("ip link add {link} type veth peer name eth0 netns {thread}"), "");
                run(&format!("ip addr add {address} dev {link}"), "");
                run(&format!("ip link set {link} up"), "");
            }
            run("sysctl -qw net.ipv4.ip_forward=1", "");
            host();
            // The links are gone with the host's namespace, which is gone with this thread.
            for neighbour in [&container, &beyond] {
                neighbour.go.send(()).expect("it waits");
            }
            for neighbour in [container, beyond] {
                neighbour.test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        });
    });
}

/// A thread in a namespace of its own, to which the host gives eth0.
struct Neighbour<'scope> {
    number: i32,
    go: mpsc::Sender<()>,
    test: ScopedJoinHandle<'scope, ()>,
}

impl<'scope> Neighbour<'scope> {
    /// Waits for the host, then has `address` and runs `test`.
    fn new(
        scope: &'scope Scope<'scope, '_>,
        address: &'static str,
        test: impl FnOnce() + Send + 'scope,
    ) -> Neighbour<'scope> {
        let (name, named) = mpsc::channel();
        let (go, wait) = mpsc::channel();
        let body = move || {
            // SAFETY: asks for this thread's number.
            name.send(unsafe { libc::gettid() }).expect("the host listens");
            wait.recv().expect("the host is set up");
            run(&format!("ip addr add {address} dev eth0"), "");
            run("ip link set eth0 up", "");
            test();
        };
        let test = scope.spawn(move || fresh(body));
        Neighbour { number: named.recv().expect("a namespace"), go, test }
    }
}

/// Receives one datagram and says from where it came.
fn received(socket: &UdpSocket) -> (String, String) {
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
    (String::from_utf8_lossy(&buffer[..length]).into_owned(), from.to_string())
}

#[test]
fn masquerading() {
    let inside = || {
        let socket = UdpSocket::bind("10.77.0.2:1000").expect("a socket");
        socket.send_to(b"ping", "192.0.2.2:2000").expect("a datagram");
        assert_eq!(received(&socket), ("pong".into(), "192.0.2.2:2000".into()));
    };
    let (bound, wait) = mpsc::channel();
    let outside = move || {
        let socket = UdpSocket::bind("192.0.2.2:2000").expect("a socket");
        bound.send(()).expect("the container waits");
        let (text, from) = received(&socket);
        assert_eq!((text.as_str(), from.as_str()), ("ping", "192.0.2.1:1000"));
        socket.send_to(b"pong", from).expect("a datagram");
    };
    let host = || {
        let table = Table::new(Family::Inet, "t");
        let set = Set::new("sources", [Field::Ipv4Addr]);
        let lookup = Expr::Lookup { key: vec![Selector::IpSaddr], negate: false, set: "sources".into() };
        let within = Expr::differs(Selector::IpDaddr, Value::Net("10.77.0.0/24".parse().expect("a prefix")));
        let chain = Chain::base("postrouting", Hook::new(Kind::Nat, Point::Postrouting, 100)).with([
            lookup,
            within,
            Expr::Masquerade { fully_random: false },
        ]);
        let mut transaction = Transaction::new();
        transaction.add_table(&table).add_set(&table, &set).add_chain(&table, &chain);
        transaction.add_elements(&table, &set, vec![Element::new([ip("10.77.0.2")])]);
        transaction.commit(&mut socket()).expect("a commit");
    };
    topology(
        host,
        move || {
            wait.recv().expect("the outside listens");
            inside()
        },
        outside,
    );
}

#[test]
fn a_mapped_port_from_outside() {
    let (bound, wait) = mpsc::channel();
    let inside = move || {
        let socket = UdpSocket::bind("10.77.0.2:53").expect("a socket");
        bound.send(()).expect("the outside waits");
        assert_eq!(received(&socket), ("ping".into(), "192.0.2.2:2000".into()));
        socket.send_to(b"pong", "192.0.2.2:2000").expect("a datagram");
    };
    let outside = move || {
        wait.recv().expect("the container listens");
        let socket = UdpSocket::bind("192.0.2.2:2000").expect("a socket");
        socket.send_to(b"ping", "192.0.2.1:5353").expect("a datagram");
        assert_eq!(received(&socket), ("pong".into(), "192.0.2.1:5353".into()));
    };
    let host = || {
        let table = Table::new(Family::Ip, "t");
        let data = Data::Fields(vec![Field::Ipv4Addr, Field::InetService]);
        let map = Set::map("ports", [Field::InetProto, Field::InetService], data);
        let key = vec![Selector::L4Proto, Selector::ThDport];
        let chain = Chain::base("prerouting", Hook::new(Kind::Nat, Point::Prerouting, -100))
            .with([Expr::FibLocal, Expr::DnatMap { ipv6: false, key, map: "ports".into() }]);
        let to = Mapped::Values(vec![ip("10.77.0.2"), Value::Port(53)]);
        let mut transaction = Transaction::new();
        transaction.add_table(&table).add_set(&table, &map).add_chain(&table, &chain);
        transaction.add_elements(&table, &map, vec![Element::mapped([Value::Proto(17), Value::Port(5353)], to)]);
        transaction.commit(&mut socket()).expect("a commit");
    };
    topology(host, inside, outside);
}
