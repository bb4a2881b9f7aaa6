//! The name service section of a result, read from a `resolv.conf(5)` file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use cni::{Dns, Error};

/// The largest file that is read, in bytes.
const SIZE_LIMIT: u64 = 1 << 20;

/// Reads the file at `path`.
///
/// # Errors
/// The file cannot be read, or is larger than 1 MiB.
pub fn read(path: &Path) -> Result<Dns, Error> {
    let failed = |error| crate::text::failed(format_args!("open {}", path.display()), error);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(Error::internal(format_args!("{}: larger than {SIZE_LIMIT} bytes", path.display())));
    }
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// Reads the text of such a file; what it does not know it passes over.
pub fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let mut words = line.split_whitespace().map(str::to_owned).peekable();
        let Some(keyword) = words.next().filter(|_| words.peek().is_some()) else { continue };
        match keyword.as_str() {
            "nameserver" => dns.nameservers.extend(words.next()),
            "domain" => dns.domain = words.next().unwrap_or_default(),
            "search" => dns.search.extend(words),
            "options" => dns.options.extend(words),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_file_is_refused() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.msg, "/dev/zero: larger than 1048576 bytes");
    }

    #[test]
    fn reads_every_keyword() {
        let text = "# nameserver 1.1.1.1\n; x\nnameserver 192.0.2.3 ignored\n nameserver 2001:db8::53\ndomain a.example\n\
                    search a.example b.example\noptions ndots:5 edns0\noptions rotate\nsearch\nsortlist 1.2.3.4\n";
        let dns = parse(text);
        assert_eq!(dns.nameservers, ["192.0.2.3", "2001:db8::53"]);
        assert_eq!(dns.domain, "a.example");
        assert_eq!(dns.search, ["a.example", "b.example"]);
        assert_eq!(dns.options, ["ndots:5", "edns0", "rotate"]);
    }
}
