//! `cargo xtask vm`: the tests on a Debian kernel in QEMU, for what this machine's kernel lacks or does differently.
//!
//! Debian's cloud kernel (6.1 on bookworm) has VLAN filtering, vlan, ipvlan, vrf and dummy, and does not echo the links
//! it makes, as kernels since 6.2 do. The machine is a kernel and an initramfs of ours, without a disk and with two
//! network cards that reach nothing but each other; it runs test binaries, prints and ends. Emulated in software, so it
//! needs neither /dev/kvm nor rights.

mod archive;
mod image;
mod machine;
mod package;

use crate::build::{PLUGINS, Product, product, target_directory};
use crate::setup;
use crate::shell::{command, executables};
use crate::summary::Summary;
use image::Image;
use package::Kernel;
use std::path::Path;
use std::time::Duration;

/// How long the machine may run; on processors that have other work it takes several times as long.
const DEADLINE: Duration = Duration::from_secs(1200);

/// Where Debian has Go's plugins.
const GO: &str = "/usr/lib/cni";

/// What the machine needs of this one.
const PACKAGES: &[(&str, &str)] = &[("qemu-system-x86", "qemu-system-x86_64")];

/// The kernel modules that the tests use, besides those that these depend on.
const MODULES: &str = "veth bridge br_netfilter 8021q macvlan ipvlan dummy vrf ifb crc32c_generic
    virtio_pci virtio_net uio_pci_generic
    nf_tables nft_chain_nat nft_masq nft_nat nft_redir nft_ct nft_compat nft_fib_inet nft_limit nft_log nft_reject_inet
    nft_meta_bridge nf_conntrack_netlink
    iptable_nat ip6table_nat xt_MASQUERADE xt_comment xt_conntrack xt_nat xt_tcpudp xt_addrtype xt_mark xt_multiport";

/// Programs that the tests run.
const PROGRAMS: &str = "ip bridge tc nft iptables ip6tables iptables-save ip6tables-save iptables-restore
    ip6tables-restore iptables-nft-save ip6tables-nft-save iptables-legacy-save ip6tables-legacy-save
    iptables-legacy-restore ip6tables-legacy-restore conntrack sysctl ping strace sh cat touch sleep ls rm
    nsenter unshare mount umount sed diff grep find sort xargs seq mktemp readlink cut mkdir";

/// Test binaries: package, test, arguments.
const TESTS: &[(&str, &str, &str)] = &[
    ("kernel", "rtnetlink", ""),
    ("kernel", "nft", ""),
    ("lab", "vm", " --include-ignored"),
    ("ferry", "carry", " whole:: partial::everything partial::it partial::the_new_name several::names"),
    ("lab", "swap", " --ignored"),
    ("lab", "faults", " --ignored --nocapture"),
];

/// `cargo xtask vm`.
///
/// # Errors
/// Something cannot be built or installed, or a test failed; the console has been shown.
pub fn run() -> Result<(), String> {
    setup::packages()?;
    let summary = tests(&product(setup::target())?)?;
    println!("\n{summary}");
    if summary.failed == 0 { Ok(()) } else { Err(format!("{} failed", summary.failed)) }
}

/// Runs the tests in the machine.
///
/// # Errors
/// The machine cannot be made, or did not come to its end; a test that failed is in the summary.
pub fn tests(product: &Product) -> Result<Summary, String> {
    setup::install(PACKAGES)?;
    let directory = target_directory().join("vm");
    let kernel = package::kernel(&directory)?;
    let mut image = Image::default();
    image.device("dev/console", 5, 1);
    for empty in ["proc", "sys", "run", "tmp", "var/lib", "root"] {
        image.directory(empty);
    }
    modules(&mut image, &kernel)?;
    commands(&mut image)?;
    plugins(&mut image, product)?;
    image.tools(PROGRAMS)?;
    let initramfs = directory.join("initramfs.cpio");
    image.write(&initramfs)?;
    machine::run(&kernel.image, &initramfs, DEADLINE)
}

/// The kernel's modules, and the list that `vm-init` loads them by.
fn modules(image: &mut Image, kernel: &Kernel) -> Result<(), String> {
    let mut list = String::new();
    for path in kernel.modules(MODULES)? {
        let place = format!("vm/module/{}", path.file_name().unwrap_or_default().to_string_lossy());
        image.file(&path, &place)?;
        list += &format!("/{place}\n");
    }
    image.text("vm/modules", list);
    Ok(())
}

/// The test binaries, and the list that `vm-init` runs them by; it comes with the tests of `lab` itself.
fn commands(image: &mut Image) -> Result<(), String> {
    let mut cargo = command(&["cargo", "test", "--no-run", "--quiet", "--message-format=json"]);
    cargo.args(setup::target().into_iter().flat_map(|target| ["--target", target]));
    for (package, test, _) in TESTS {
        cargo.args(["-p", package, "--test", test]);
    }
    // A few megabytes instead of a hundred: the whole initramfs is in the machine's memory.
    cargo.env("CARGO_PROFILE_DEV_STRIP", "debuginfo");
    // Reading a state a thousand times takes the emulated processor long enough.
    cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "2");
    let built = executables(&mut cargo)?;
    let path = |wanted: &str| {
        let found = built.iter().find(|(name, _)| name == wanted);
        found.map(|(_, path)| path).ok_or_else(|| format!("cargo has built no {wanted}"))
    };
    image.program(path("vm-init")?, "init")?;
    let mut list = String::new();
    for (_, test, arguments) in TESTS {
        image.program(path(test)?, &format!("vm/{test}"))?;
        list += &format!("/vm/{test}{arguments}\n");
    }
    image.text("vm/commands", list);
    Ok(())
}

/// Our plugins as they are installed, one file of many names, and Go's.
fn plugins(image: &mut Image, product: &Product) -> Result<(), String> {
    image.program(&product.netferry, "vm/netferry")?;
    image.program(&product.plugins.join("bridge"), "vm/cni/netferry-cni")?;
    for plugin in PLUGINS {
        image.link(&format!("vm/cni/{plugin}"), "vm/cni/netferry-cni");
        image.program(&Path::new(GO).join(plugin), &format!("{}/{plugin}", &GO[1..]))?;
    }
    Ok(())
}
