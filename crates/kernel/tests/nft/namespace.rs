//! A fresh network namespace that plays the host, for the length of one closure.

use std::process::{Command, Stdio};

use kernel::{Family, Socket};

/// Runs `test` in a thread with a network namespace of its own; it is gone when the thread and its children are.
pub fn fresh<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: changes this new thread's network namespace and nothing of the process's memory.
            let status = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(status, 0, "these tests need root: {}", std::io::Error::last_os_error());
            test()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A netfilter socket in the thread's namespace.
pub fn socket() -> Socket {
    Socket::open(Family::Netfilter).expect("a netfilter socket")
}

/// Runs a command in the thread's namespace with `input` and returns what it printed; it must succeed.
pub fn run(command: &str, input: &str) -> String {
    let mut words = command.split_whitespace();
    let mut child = Command::new(words.next().expect("a command"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("install what has `{command}`: {error}"));
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), input.as_bytes()).expect("a write");
    let output = child.wait_with_output().expect("an exit");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}\n{input}");
    String::from_utf8(output.stdout).expect("text")
}

/// What nft prints of the namespace, without tabs for easy comparison.
pub fn listed() -> String {
    run("nft list ruleset", "").replace('\t', "    ")
}
