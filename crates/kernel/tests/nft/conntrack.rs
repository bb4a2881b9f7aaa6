//! Forgetting tracked flows, made by hand so that the test needs no packets.

use kernel::conntrack::{Flows, forget};

use crate::namespace::{fresh, run, socket};

fn flow(source: &str, destination: &str, rest: &str) {
    run(&format!("conntrack -I -s {source} -d {destination} -t 100 {rest}"), "");
}

fn count() -> usize {
    run("conntrack -L -f ipv4", "").lines().count() + run("conntrack -L -f ipv6", "").lines().count()
}

#[test]
fn by_port_and_by_address() {
    fresh(|| {
        let mut socket = socket();
        let udp = |port: u16| format!("-p udp --sport 1000 --dport {port}");
        flow("192.0.2.1", "198.51.100.1", &udp(53));
        flow("192.0.2.2", "198.51.100.2", &udp(53));
        flow("192.0.2.3", "198.51.100.1", &udp(54));
        // Translated: the reply comes from the container.
        flow("192.0.2.4", "198.51.100.1", &format!("{} --dst-nat 10.77.0.2", udp(55)));
        flow("10.77.0.2", "198.51.100.3", &udp(56));
        flow("2001:db8::1", "2001:db8::2", &udp(53));
        assert_eq!(count(), 6);
        let address = |text: &str| text.parse().expect("an address");
        assert_eq!(forget(&mut socket, Flows::To(6, address("0.0.0.0"), 53)), Ok(0));
        assert_eq!(forget(&mut socket, Flows::To(17, address("198.51.100.2"), 53)), Ok(1));
        assert_eq!(forget(&mut socket, Flows::To(17, address("0.0.0.0"), 53)), Ok(1));
        assert_eq!(forget(&mut socket, Flows::Of(address("10.77.0.2"))), Ok(2));
        assert_eq!(count(), 2);
        assert_eq!(forget(&mut socket, Flows::Of(address("2001:db8::2"))), Ok(1));
        assert_eq!(forget(&mut socket, Flows::To(17, address("::"), 53)), Ok(0));
        assert_eq!(forget(&mut socket, Flows::Of(address("192.0.2.3"))), Ok(1));
        assert_eq!(count(), 0);
    });
}
