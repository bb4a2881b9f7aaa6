//! Real packets between namespaces: TCP and UDP echoes, ICMP echo requests, IPv4 and IPv6, all with deadlines.
//!
//! A socket belongs to the namespace it was made in, whichever thread uses it: servers are made inside and served
//! from an ordinary thread. [`reach`] returns the source address the server saw, so that masquerading is testable.

use crate::error::{Error, Result};
use crate::netns::Namespaces;
use crate::process::Invocation;
use std::ffi::CString;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long one exchange may take.
pub const DEADLINE: Duration = Duration::from_secs(3);

const TICK: Duration = Duration::from_millis(5);

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocols'")]
pub enum Protocol {
    Tcp,
    Udp,
    Icmp,
}

/// A server that sends back what it gets, with the sender's address before it.
pub struct Echo {
    port: u16,
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Echo {
    /// A server inside, on `port` (0: any) of every address of the family of `family`.
    ///
    /// # Errors
    /// The port is taken, or `Icmp` was asked for: the kernel answers that itself.
    pub fn start(inside: &Namespaces, protocol: Protocol, family: IpAddr, port: u16) -> Result<Echo> {
        let address = SocketAddr::new(any(family), port);
        let bound = inside.inside(|| -> std::io::Result<(Socket, u16)> {
            match protocol {
                Protocol::Tcp => {
                    let listener = TcpListener::bind(address)?;
                    listener.set_nonblocking(true)?;
                    let port = listener.local_addr()?.port();
                    Ok((Socket::Tcp(listener), port))
                }
                Protocol::Udp => {
                    let socket = UdpSocket::bind(address)?;
                    socket.set_nonblocking(true)?;
                    let port = socket.local_addr()?.port();
                    Ok((Socket::Udp(socket), port))
                }
                Protocol::Icmp => Err(ErrorKind::Unsupported.into()),
            }
        })?;
        let (socket, port) = bound.map_err(Error::during(format!("{protocol:?} server on {address}")))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let server = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // A failed exchange shows at the client.
                let served = match &socket {
                    Socket::Tcp(listener) => serve_tcp(listener),
                    Socket::Udp(socket) => serve_udp(socket),
                };
                if served.is_err() {
                    std::thread::sleep(TICK);
                }
            }
        });
        Ok(Echo { port, stop, server: Some(server) })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic of the server has shown at the client.
        let _ = self.server.take().map(JoinHandle::join);
    }
}

/// One exchange from inside with an [`Echo`] at `to`; returns the source address the server saw.
///
/// # Errors
/// No answer within [`DEADLINE`], or a wrong one.
pub fn exchange(from: &Namespaces, protocol: Protocol, to: SocketAddr) -> Result<IpAddr> {
    let what = format!("{protocol:?} to {to}");
    let payload = format!("netferry {}", std::process::id());
    let answer = from.inside(|| match protocol {
        Protocol::Tcp => tcp_client(to, payload.as_bytes()),
        Protocol::Udp => udp_client(to, payload.as_bytes()),
        Protocol::Icmp => Err(ErrorKind::Unsupported.into()),
    })?;
    let answer = answer.map_err(Error::during(&what))?;
    let (source, echoed) = answer.split_once('\n').ok_or_else(|| Error::new(format!("{what}: answer {answer:?}")))?;
    if echoed != payload {
        return Err(Error::new(format!("{what}: sent {payload:?}, came back {echoed:?}")));
    }
    source.parse().map_err(Error::during(what))
}

/// An ICMP echo request from inside to `to`, which must be answered.
pub fn ping(from: &Namespaces, to: IpAddr) -> Result<()> {
    let family = if to.is_ipv4() { "-4" } else { "-6" };
    let to = to.to_string();
    // Three tries: the first may wait for neighbour resolution.
    Invocation::command(&["ping", family, "-n", "-q", "-c", "1", "-w", "3", &to]).run(from)?.success().map(drop)
}

/// A router advertisement out of the device `on` to all who listen: `prefix`/64 is on the link, and who hears it may give
/// itself an address of it (RFC 4861, 4.2 and 4.6.2). The device needs a link-local address.
///
/// # Errors
/// There is no such device, or the kernel sends nothing.
pub fn advertise(from: &Namespaces, on: &str, prefix: Ipv6Addr) -> Result<()> {
    let lifetimes = [0, 0, 0x0e, 0x10];
    let header = [134, 0, 0, 0, 64, 0, 0x0e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0];
    let option = [[3, 4, 64, 0xc0].as_slice(), &lifetimes, &lifetimes, &[0; 4], &prefix.octets()].concat();
    let message = [header.as_slice(), &option].concat();
    let device = CString::new(on).map_err(Error::during(on))?;
    let send = || -> std::io::Result<()> {
        // SAFETY: the name ends in NUL; the descriptor that is returned is owned by nobody else.
        let (index, socket) = unsafe {
            let index = libc::if_nametoindex(device.as_ptr());
            let socket = libc::socket(libc::AF_INET6, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_ICMPV6);
            if index == 0 || socket < 0 {
                return Err(std::io::Error::last_os_error());
            }
            (index, UdpSocket::from_raw_fd(socket))
        };
        let hops: libc::c_int = 255;
        let size = size_of_val(&hops) as libc::socklen_t;
        // SAFETY: the option is one integer, which lives through the call.
        let set = unsafe {
            let option = libc::IPV6_MULTICAST_HOPS;
            libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IPV6, option, (&raw const hops).cast(), size)
        };
        if set != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let all = SocketAddrV6::new(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), 0, 0, index);
        socket.send_to(&message, all).map(drop)
    };
    from.inside(send)?.map_err(Error::during(format!("advertise {prefix} on {on}")))
}

/// One protocol from `from` to `address` in `to`; returns the source seen there (for ICMP: `address` itself).
pub fn reach(from: &Namespaces, to: &Namespaces, address: IpAddr, protocol: Protocol) -> Result<IpAddr> {
    if protocol == Protocol::Icmp {
        return ping(from, address).map(|()| address);
    }
    let echo = Echo::start(to, protocol, address, 0)?;
    exchange(from, protocol, SocketAddr::new(address, echo.port()))
}

/// Every protocol in both directions between two namespaces that each have an address.
///
/// # Errors
/// The first exchange that failed, by name.
pub fn both_ways(a: (&Namespaces, IpAddr), b: (&Namespaces, IpAddr)) -> Result<()> {
    for protocol in [Protocol::Icmp, Protocol::Tcp, Protocol::Udp] {
        for ((from, source), (to, address)) in [(a, b), (b, a)] {
            reach(from, to, address, protocol).map_err(Error::during(format!("{source} -> {address}")))?;
        }
    }
    Ok(())
}

fn any(family: IpAddr) -> IpAddr {
    match family {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn serve_tcp(listener: &TcpListener) -> std::io::Result<()> {
    let (mut stream, peer) = listener.accept()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut buffer = [0; 512];
    let length = stream.read(&mut buffer)?;
    stream.write_all(&reply(peer, &buffer[..length]))
}

fn serve_udp(socket: &UdpSocket) -> std::io::Result<()> {
    let mut buffer = [0; 512];
    let (length, peer) = socket.recv_from(&mut buffer)?;
    socket.send_to(&reply(peer, &buffer[..length]), peer).map(drop)
}

fn reply(peer: SocketAddr, payload: &[u8]) -> Vec<u8> {
    [format!("{}\n", peer.ip()).as_bytes(), payload].concat()
}

fn tcp_client(to: SocketAddr, payload: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(payload)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

fn udp_client(to: SocketAddr, payload: &[u8]) -> std::io::Result<String> {
    let socket = UdpSocket::bind(SocketAddr::new(any(to.ip()), 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(DEADLINE / 6))?;
    let end = Instant::now() + DEADLINE;
    let mut buffer = [0; 512];
    loop {
        // Datagrams may be lost while a neighbour is being resolved.
        match socket.send(payload).and_then(|_| socket.recv(&mut buffer)) {
            Ok(length) => return Ok(String::from_utf8_lossy(&buffer[..length]).into_owned()),
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => std::thread::sleep(TICK),
        }
    }
}
