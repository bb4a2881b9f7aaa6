//! A kernel whose answers are the fuzzer's: the other end of a socket pair, which takes every request and has answered
//! before it is asked. What comes then is `EAGAIN`, so nobody waits for more.

use kernel::{Family, Socket};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Requests that are answered: the first by the fuzzer, those behind it by success.
const REQUESTS: u32 = 7;

/// Runs `ask` on a socket that is answered with `datagram`, and then with the end of a dump.
pub fn answered<T>(family: Family, datagram: &[u8], ask: impl FnOnce(&mut Socket) -> T) -> T {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a socket pair");
    let tell = |bytes: &[u8]| send(&theirs, bytes, SendFlags::empty()).map(drop).expect("room in the socket");
    let answer = numbered(datagram);
    if !answer.is_empty() {
        tell(&answer);
    }
    tell(&end(NLMSG_DONE, 1));
    (2..=REQUESTS).for_each(|sequence| tell(&end(NLMSG_ERROR, sequence)));
    ask(&mut Socket::over(ours, family))
}

/// The datagram with sequence numbers that belong to a request: a fuzzer is slow to guess them.
fn numbered(datagram: &[u8]) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    let mut rest = bytes.as_mut_slice();
    while let Some((header, _)) = rest.split_first_chunk_mut::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if header[8] > REQUESTS as u8 || header[9..12] != [0; 3] {
            header[8..12].copy_from_slice(&1_u32.to_ne_bytes());
        }
        rest = rest.get_mut(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
    }
    bytes
}

fn end(kind: u16, sequence: u32) -> [u8; HEADER + 4] {
    let mut bytes = [0; HEADER + 4];
    bytes[0] = bytes.len() as u8;
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
    bytes
}
