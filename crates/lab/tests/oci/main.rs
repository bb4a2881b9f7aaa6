//! The real OCI runtimes on a node: that containers come and go without a trace, and what each runtime does with
//! `linux.netDevices`, with hooks and with their state, which is what netferry builds upon.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// One test of each of these runtimes, in a module that is named after the function.
macro_rules! with_runtimes {
    ($runtimes:tt, $($test:ident),+) => {$(
        mod $test {
            fn run(runtime: &str) {
                super::$test(&lab::Runtime::named(&runtime.replace('_', "-")).unwrap());
            }
            one_test_each!($runtimes);
        }
    )+};
}

macro_rules! one_test_each {
    ([$($runtime:ident),+]) => {$(
        #[test]
        fn $runtime() {
            run(stringify!($runtime));
        }
    )+};
}

/// One test of each runtime.
macro_rules! with_each_runtime {
    ($($test:ident),+) => {
        with_runtimes!([runc_old, crun_old, runc_new, crun_new, youki_new], $($test),+);
    };
}

mod containerd;
mod cri;
mod devices;
mod docker;
mod hooks;
mod lent;
mod life;
mod podman;
mod stage;

use lab::{Bundle, Node, Runtime, Task};
use serde_json::{Value, json};

/// A pair `d0`-`p0` on a node of its own, on which the kernel makes no address by itself.
fn node() -> Node {
    let node = Node::new().unwrap();
    at_home(&node, "echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode");
    at_home(&node, "ip link add d0 mtu 1400 address 02:00:00:00:00:01 type veth peer name p0");
    node
}

/// The container `c1` of a runtime.
fn task(node: &Node, runtime: &Runtime, config: impl FnOnce(&mut Value)) -> Task {
    runtime.task(Bundle::new(node, "c1", config).unwrap())
}

/// What a shell script prints on a node.
fn at_home(node: &Node, script: &str) -> String {
    node.run(["sh", "-ec", script]).unwrap().stdout
}

/// The entry of a hook that runs this script, with `$B` for the bundle of `c1`.
fn hook(script: &str) -> Value {
    let bundle = Bundle::directory("c1");
    json!({"path": "/bin/sh", "args": ["sh", "-ec", format!("B={}; {script}", bundle.display())]})
}
