use proptest::prelude::*;

use super::*;

type Vars<'a> = &'a [(&'a str, &'a str)];

const FULL: Vars<'_> = &[
    ("CNI_CONTAINERID", "c1"),
    ("CNI_NETNS", "/run/netns/a"),
    ("CNI_IFNAME", "eth0"),
    ("CNI_PATH", "/opt/cni/bin::/b"),
];

fn read(command: Command, base: Vars<'_>, over: Vars<'_>) -> Result<Env, Error> {
    Env::read(command, |name| {
        over.iter().chain(base).find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
    })
}

fn message(command: Command, base: Vars<'_>, over: Vars<'_>) -> String {
    let error = read(command, base, over).unwrap_err();
    assert_eq!(error.code, code::INVALID_ENVIRONMENT);
    error.to_string()
}

#[test]
fn each_verb_requires_its_variables() {
    let attachment = "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing";
    for command in [Command::Add, Command::Check, Command::Plan] {
        assert_eq!(message(command, &[], &[]), attachment);
    }
    assert_eq!(message(Command::Del, &[], &[]), "required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing");
    for command in [Command::Gc, Command::Status] {
        assert_eq!(message(command, &[], &[]), "required env variables [CNI_PATH] missing");
    }
    let some = [("CNI_NETNS", ""), ("CNI_IFNAME", ""), ("CNI_PATH", "")];
    assert_eq!(message(Command::Add, FULL, &some), "required env variables [CNI_NETNS,CNI_IFNAME,CNI_PATH] missing");
}

#[test]
fn what_is_invalid_is_said_before_what_is_missing() {
    let over = [("CNI_CONTAINERID", "../a"), ("CNI_PATH", "")];
    assert_eq!(message(Command::Add, FULL, &over), "invalid characters in containerID; ../a");
    let over = [("CNI_CONTAINERID", ""), ("CNI_IFNAME", "a/b")];
    assert_eq!(message(Command::Del, FULL, &over), "interface name contains / or : or whitespace characters");
}

#[test]
fn a_full_environment_is_read() {
    let env = read(Command::Add, FULL, &[("CNI_ARGS", "A=1"), ("CNI_NETNS_OVERRIDE", "TRUE")]).unwrap();
    assert_eq!(env.netns.as_deref(), Some("/run/netns/a"));
    assert_eq!(env.path, ["/opt/cni/bin", "", "/b"].map(PathBuf::from));
    assert!(env.netns_override);
    let variables = env.variables().map(|(name, value)| format!("{name}={}", value.display()));
    assert_eq!(
        variables.join(" "),
        "CNI_COMMAND=ADD CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/a CNI_IFNAME=eth0 CNI_ARGS=A=1 CNI_PATH=/opt/cni/bin::/b"
    );
    assert_eq!(read(Command::Del, FULL, &[("CNI_NETNS", "")]).unwrap().netns, None);
}

#[test]
fn gc_and_status_keep_nothing_unvalidated() {
    for command in [Command::Gc, Command::Status] {
        let env = read(command, FULL, &[("CNI_CONTAINERID", "../../x"), ("CNI_IFNAME", "a/b")]).unwrap();
        assert_eq!((env.container_id.as_str(), env.ifname.as_str(), env.netns), ("", "", None));
    }
}

#[test]
fn container_ids_and_network_names_are_identifiers() {
    let long = "a".repeat(300);
    for good in ["a", "9", "a_b.c-d", "A..", &long] {
        assert_eq!(validate_container_id(good), Ok(()));
        assert_eq!(validate_network_name(good), Ok(()));
    }
    for bad in ["-a", ".", "..", "_a", "a\n", "a/b", "ä", "a b", "a\0"] {
        let error = validate_container_id(bad).unwrap_err();
        assert_eq!(
            (error.code, error.msg.as_str(), error.details.as_str()),
            (4, "invalid characters in containerID", bad)
        );
        let error = validate_network_name(bad).unwrap_err();
        let message = "invalid characters found in network name";
        assert_eq!((error.code, error.msg.as_str(), error.details.as_str()), (7, message, bad));
    }
    assert_eq!(validate_container_id("").unwrap_err(), Error::new(3, "missing containerID"));
    assert_eq!(validate_network_name("").unwrap_err(), Error::new(7, "missing network name"));
}

#[test]
fn interface_names_are_what_the_kernel_takes() {
    for good in ["e", "eth0", "a.b", "...", "fifteen-bytes15", "éth0"] {
        assert_eq!(validate_ifname(good), Ok(()), "{good}");
    }
    for (bad, message) in [
        ("", "interface name is empty"),
        ("sixteen-bytes-16", "interface name is too long; interface name should be less than 16 characters"),
        ("éééééééé", "interface name is too long; interface name should be less than 16 characters"),
        (".", "interface name is . or .."),
        ("..", "interface name is . or .."),
        ("a/b", "interface name contains / or : or whitespace characters"),
        ("a:b", "interface name contains / or : or whitespace characters"),
        ("a b", "interface name contains / or : or whitespace characters"),
        ("a\u{85}", "interface name contains / or : or whitespace characters"),
        ("a\u{a0}", "interface name contains / or : or whitespace characters"),
        ("a\n", "interface name contains / or : or whitespace characters"),
    ] {
        let error = validate_ifname(bad).unwrap_err();
        assert_eq!((error.code, error.to_string().as_str()), (4, message), "{bad:?}");
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let error = Env::read(Command::Add, |_| Some(OsString::from_vec(vec![0xff]))).unwrap_err();
    assert_eq!(error.to_string(), "CNI_CONTAINERID is not valid UTF-8");
}

proptest! {
    #[test]
    fn a_valid_name_stays_inside_its_directory(name in ".{0,20}") {
        if validate_network_name(&name).is_ok() && validate_container_id(&name).is_ok() {
            let path = PathBuf::from("/dir").join(&name);
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("/dir")));
        }
        if validate_ifname(&name).is_ok() {
            let path = PathBuf::from("/dir").join(&name);
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("/dir")));
        }
    }
}
