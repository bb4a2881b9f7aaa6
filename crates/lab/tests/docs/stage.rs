//! A node on which the examples of a page happen, with netferry installed and perhaps one attachment.

use crate::pattern;
use lab::{Attachment, Container, Error, Invocation, Node, Plugins, Result};
use serde_json::Value;

/// Where netferry is on the node: in a file system that goes with it.
const BINARIES: &str = "/run/docs/bin";
/// What the pages call the configuration directory.
const CONFIGURATIONS: &str = "/run/docs/net.d";
/// What a command begins with.
const PROMPT: &str = "$ ";
/// `cargo run --release -- ARGUMENTS` as a user types it, without the build.
const CARGO: &str = "cargo() { shift 3; netferry \"$@\"; }";

/// A node, the plugins and the attachment of the example that is on.
pub struct Stage {
    node: Node,
    plugins: Plugins,
    attached: Option<Attached>,
}

struct Attached {
    conf: Value,
    attachment: Attachment,
    result: Value,
    /// Its namespace goes when this is dropped.
    container: Container,
}

impl Stage {
    /// A fresh node.
    ///
    /// # Errors
    /// NETFERRY_CNI_DIR or NETFERRY_BIN is not set.
    pub fn new() -> Result<Stage> {
        let binary = std::env::var("NETFERRY_BIN").map_err(|_| {
            Error::new("NETFERRY_BIN is not set: run `cargo xtask test`, which builds netferry and sets it")
        })?;
        let (node, plugins) = (Node::new()?, Plugins::ours()?);
        node.run(["mkdir", "-p", BINARIES, CONFIGURATIONS])?;
        // A new namespace forwards if the machine does, and the pages show a node that does not.
        node.run(["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"])?;
        for name in ["netferry", "cnitool"] {
            node.run(["ln", "-s", &binary, &format!("{BINARIES}/{name}")])?;
        }
        Ok(Stage { node, plugins, attached: None })
    }

    /// ADD of the container `c1` to the network of `conf`, asked of `plugin`.
    pub fn add(&mut self, plugin: &str, conf: &str) -> Result<()> {
        let mut conf: Value = serde_json::from_str(conf).map_err(Error::during("the configuration"))?;
        // The page of an address plugin shows a network, whose own type is another.
        conf["type"] = plugin.into();
        let container = self.node.container("c1")?;
        let attachment = Attachment::new("c1", &container);
        let result = self.plugins.add(&self.node, &conf, &attachment)?;
        self.attached = Some(Attached { conf, attachment, result, container });
        Ok(())
    }

    /// The result of the ADD must be `expected`.
    pub fn compare(&self, expected: &str) -> Result<()> {
        let attached = self.attached.as_ref().ok_or_else(|| Error::new("a result without a configuration"))?;
        let expected: Value = serde_json::from_str(expected).map_err(Error::during("the result"))?;
        if attached.result == expected {
            return Ok(());
        }
        Err(Error::new(format!("the result is another:\n{:#}", attached.result)))
    }

    /// Puts a file into the configuration directory.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = format!("{CONFIGURATIONS}/{name}");
        let written = self.node.namespaces().inside(|| std::fs::write(&path, text))?;
        written.map_err(Error::during(path))
    }

    /// Runs the commands of a console block, each of which must print what stands below it.
    pub fn run(&self, block: &str) -> Result<()> {
        let Some(block) = block.strip_prefix(PROMPT) else {
            return Err(Error::new("a console block begins with a command"));
        };
        for step in block.split(&format!("\n{PROMPT}")) {
            let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
            self.command(command, expected)?;
        }
        Ok(())
    }

    fn command(&self, command: &str, expected: &str) -> Result<()> {
        let script = format!("exec 2>&1\n{CARGO}\n{command}");
        let mut shell = Invocation::command(&["sh", "-c", &script]);
        let path = format!("{BINARIES}:/usr/sbin:/usr/bin:/sbin:/bin");
        let plugins = self.plugins.directory().to_string_lossy().into_owned();
        let variables = [("PATH", path), ("CNI_PATH", plugins), ("NETCONFPATH", CONFIGURATIONS.to_owned())];
        shell.env = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let output = shell.run(self.node.namespaces())?;
        if pattern::matches(expected, &output.stdout) {
            return Ok(());
        }
        Err(Error::new(format!("{command}\nprints\n{}\nand the page says\n{expected}", output.stdout)))
    }

    /// CHECK and DEL, twice, of what is attached; nothing of it may be left.
    ///
    /// # Errors
    /// One of them fails, or something is left.
    pub fn end(mut self) -> Result<()> {
        let Some(Attached { conf, attachment, result, container }) = self.attached.take() else { return Ok(()) };
        self.plugins.check(&self.node, &conf, &result, &attachment)?;
        self.plugins.del(&self.node, &conf, &attachment)?;
        self.plugins.del(&self.node, &conf, &attachment)?;
        let look =
            "ip -o link show type veth; nft list tables | grep netferry; find /var/lib/cni -name '*[.:]*[0-9]' -type f";
        let left = self.node.run(["sh", "-c", &format!("{look} | grep -v last_reserved_ip; true")])?.stdout;
        let left = left + &container.run(["sh", "-c", "ip -o link show type veth; ip -o route"])?.stdout;
        if left.is_empty() { Ok(()) } else { Err(Error::new(format!("left after DEL:\n{left}"))) }
    }
}
