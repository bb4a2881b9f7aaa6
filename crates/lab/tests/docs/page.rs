//! What of a page the tests read: its fenced blocks, and its links to files.

const FENCE: &str = "```";

/// A fenced block.
pub struct Block {
    info: String,
    /// The line of its opening fence.
    pub line: usize,
    /// What is between the fences.
    pub text: String,
}

/// What a block is to the tests.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// A configuration of the plugin `name`.
    Plugin { name: String },
    /// What the ADD before it printed.
    Result,
    /// A file of the configuration directory.
    File { name: String },
    /// Commands and what they print.
    Console,
    /// Nothing that can be run.
    Prose,
}

impl Block {
    /// What it is, by its info string.
    pub fn kind(&self) -> Kind {
        let words: Vec<&str> = self.info.split_whitespace().collect();
        let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)).map(str::to_owned);
        match words.first() {
            Some(&"console") => Kind::Console,
            Some(&"json") if words.contains(&"result") => Kind::Result,
            Some(&"json") => match (value("plugin="), value("file=")) {
                (Some(name), _) => Kind::Plugin { name },
                (None, Some(name)) => Kind::File { name },
                (None, None) => Kind::Prose,
            },
            _ => Kind::Prose,
        }
    }
}

/// The fenced blocks of a page, in order.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix(FENCE)) {
            (None, Some(info)) => open = Some(Block { info: info.to_owned(), line: index + 1, text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

/// The files that a page links to, without anchors; links to the web are not followed.
pub fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = targets.filter(|target| !target.contains("://"));
    files.filter_map(|target| target.split('#').next()).filter(|path| !path.is_empty()).collect()
}

#[test]
fn blocks_have_kinds() {
    let text = "a\n```json plugin=bridge\n{}\n```\n```json result\n1\n2\n```\n```json file=x.conf\n```\n\
                ```console\n$ true\n```\n```sh\nrm\n```\n```json\n{}\n```\n";
    let found = blocks(text);
    let kinds: Vec<Kind> = found.iter().map(Block::kind).collect();
    let plugin = Kind::Plugin { name: "bridge".to_owned() };
    let file = Kind::File { name: "x.conf".to_owned() };
    assert_eq!(kinds, [plugin, Kind::Result, file, Kind::Console, Kind::Prose, Kind::Prose]);
    assert_eq!((found[1].line, found[1].text.as_str()), (5, "1\n2\n"));
}

#[test]
fn links_are_files() {
    let text = "[a](docs/a.md#x) [b](https://x.org/b) [c](#here) [d](../d.md)";
    assert_eq!(links(text), ["docs/a.md", "../d.md"]);
}
