//! The `newc` cpio format, as the kernel unpacks it: a header of 13 numbers of eight hexadecimal digits, the name, the
//! contents, each padded to four bytes, and a trailer.
//! See Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.

use std::io::{Result, Write};

const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const SYMLINK: u32 = 0o120_000;

/// What a name stands for.
pub enum Entry {
    /// A directory.
    Directory,
    /// A character device of these numbers.
    Device(u32, u32),
    /// A file that anybody may run, with these bytes.
    File(Vec<u8>),
    /// Another name of the file that stands under this one.
    Link(String),
    /// A symbolic link to this path.
    Symlink(String),
}

/// Writes one entry; `inode` is a number of its own, or for another name of a file that file's.
///
/// # Errors
/// `out` cannot be written.
pub fn write(out: &mut impl Write, inode: u32, name: &str, entry: &Entry) -> Result<()> {
    let (mode, device, contents) = match entry {
        Entry::Directory => (DIRECTORY | 0o755, (0, 0), [].as_slice()),
        Entry::Device(major, minor) => (CHARACTER_DEVICE | 0o600, (*major, *minor), [].as_slice()),
        Entry::File(bytes) => (REGULAR | 0o755, (0, 0), bytes.as_slice()),
        Entry::Link(_) => (REGULAR | 0o755, (0, 0), [].as_slice()),
        Entry::Symlink(target) => (SYMLINK | 0o777, (0, 0), target.as_bytes()),
    };
    // Owner, group, and the device that holds it are 0. Of two links the kernel asks whether it knows the inode.
    let numbers = [inode, mode, 0, 0, 2, 0, contents.len() as u32, 0, 0, device.0, device.1, name.len() as u32 + 1, 0];
    out.write_all(b"070701")?;
    numbers.iter().try_for_each(|number| write!(out, "{number:08X}"))?;
    write!(out, "{name}\0")?;
    pad(out, 110 + name.len() + 1)?;
    out.write_all(contents)?;
    pad(out, contents.len())
}

/// Writes what ends an archive.
///
/// # Errors
/// `out` cannot be written.
pub fn end(out: &mut impl Write) -> Result<()> {
    write(out, 0, "TRAILER!!!", &Entry::File(Vec::new()))
}

fn pad(out: &mut impl Write, length: usize) -> Result<()> {
    out.write_all(&[0; 3][..length.next_multiple_of(4) - length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_padded_twice() {
        let mut out = Vec::new();
        write(&mut out, 7, "ab", &Entry::File(b"hello".to_vec())).unwrap_or_default();
        assert_eq!(&out[..22], b"07070100000007000081ED");
        assert_eq!(&out[54..62], b"00000005");
        assert_eq!(&out[94..102], b"00000003");
        // 110 and three bytes of name are 113, padded to 116.
        assert_eq!(&out[110..], b"ab\0\0\0\0hello\0\0\0");
    }
}
