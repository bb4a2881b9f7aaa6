//! containerd as a kubelet calls it, by its service for the CRI: a pod of the runtime class that docs/oci.md sets up, in a network
//! of our own plugins, with a container that is asked for a device by CDI.
//!
//! By crun, which can be told to do without cgroups: a pod always has CPU shares, for which the node's cgroup has no controller.

use super::containerd::judge;
use super::{at_home, stage};
use lab::{Containerd, Message, Runtime};

const PAGE: &str = include_str!("../../../../docs/oci.md");

/// The page's settings, by which `/usr/local/bin/netferry-runc` is called, with the path of this node's.
fn settings() -> String {
    let block = PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(block.contains("/usr/local/bin/netferry-runc"), "{block}");
    block.replace("/usr/local/bin/", "/run/")
}

/// The message `PodSandboxConfig`: its metadata, and an annotation for all containers.
fn pod() -> Message {
    let metadata = Message::default().with(1, "p1").with(2, "uid1").with(3, "default");
    let annotation = Message::default().with(1, "dev.netferry.restore").with(2, "all");
    Message::default().with(1, metadata).with(7, annotation)
}

/// The message `ContainerConfig`: its name, image, command, and a device by CDI.
fn container(name: &str, device: &str) -> Message {
    let named = |name: &str| Message::default().with(1, name);
    let config = Message::default().with(1, named(name)).with(2, named(Containerd::IMAGE));
    config
        .with(3, "/bin/sleep")
        .with(4, "3600")
        .with(15, named(""))
        .with(17, named(&format!("netferry.dev/net={device}")))
}

#[test]
fn a_pod_by_the_settings_of_the_page() {
    let (node, _) = stage::stage();
    // As the pod's network leaves it.
    at_home(&node, "echo 1 > /proc/sys/net/ipv4/ip_forward; mkdir -m 700 -p /var/lib/cni/results");
    let before = node.snapshot().unwrap();
    stage::generate(&node, "hook");
    let other = format!("{} cdi generate --device d1 --output /run/cdi/d1.json", stage::netferry());
    at_home(&node, &format!("ip link add d1 type veth peer name p1; {other}; ip link del d1"));
    let crun = stage::without_cgroups(&node, &Runtime::named("crun-new").unwrap());
    let runtime = stage::wrapped(&node, &crun);
    let containerd = Containerd::new(&node, &runtime, &settings()).unwrap();
    containerd.import().unwrap();
    let call =
        |method: &str, message: &Message| containerd.grpc(&format!("runtime.v1.RuntimeService/{method}"), message);
    let id = |id: &str| Message::default().with(1, id);
    let p1 = call("RunPodSandbox", &Message::default().with(1, pod()).with(2, "netferry")).unwrap();
    let create = |name: &str, device: &str| {
        let message = Message::default().with(1, &p1).with(2, container(name, device)).with(3, pod());
        let created = call("CreateContainer", &message).unwrap();
        call("StartContainer", &id(&created)).map(|_| created)
    };
    for name in ["c1", "c2"] {
        let created = create(name, "d0").unwrap();
        let pid = containerd.pid(&["--namespace", "k8s.io"], &created).unwrap();
        stage::has_it(&node, pid);
        at_home(&node, &format!("nsenter --net=/proc/{pid}/ns/net ip -4 address show dev eth0 | grep -q 10.99.0."));
        // The kubelet need not say anything for the device to be home.
        at_home(&node, &format!("kill -s KILL {pid}"));
        stage::comes_home(&node);
        call("RemoveContainer", &id(&created)).unwrap();
    }
    let said = create("c3", "d1").unwrap_err().to_string();
    assert!(said.contains("error executing hook"), "{said}");
    call("StopPodSandbox", &id(&p1)).unwrap();
    call("RemovePodSandbox", &id(&p1)).unwrap();
    judge(&node, &before);
}
