//! A transaction that the kernel refuses names the change, and has changed nothing.

use kernel::nft::{Chain, Change, Element, Expr, Family, Field, Set, Table, Transaction, Value, query};

use crate::namespace::{fresh, listed, socket};

fn table() -> Table {
    Table::new(Family::Inet, "t")
}

#[test]
fn the_first_change() {
    fresh(|| {
        let mut socket = socket();
        let mut transaction = Transaction::new();
        transaction.push(Change::DeleteTable { table: Table::new(Family::Ip, "absent") }).add_table(&table());
        let error = transaction.commit(&mut socket).expect_err("there is no such table");
        assert_eq!(error.to_string(), "delete table ip absent: No such file or directory");
        assert!(error.is_absent());
        assert_eq!(listed(), "");
        // The socket is as good as before.
        Transaction::new().add_table(&table()).commit(&mut socket).expect("a commit");
        assert_eq!(query::table(&mut socket, Family::Inet, "t"), Ok(Some(table())));
    });
}

#[test]
fn one_in_the_middle_and_the_last() {
    fresh(|| {
        let mut socket = socket();
        let mut transaction = Transaction::new();
        let jump = Chain::new("c").with([Expr::jump("nowhere")]);
        transaction.add_table(&table()).add_chain(&table(), &jump).add_chain(&table(), &Chain::new("d"));
        let error = transaction.commit(&mut socket).expect_err("a jump to nowhere");
        assert_eq!(error.to_string(), "add rule inet t c jump nowhere: No such file or directory");
        let mut transaction = Transaction::new();
        transaction.add_table(&table()).push(Change::AddTable { table: table(), create: true });
        let error = transaction.commit(&mut socket).expect_err("it is there by then");
        assert_eq!(error.to_string(), "create table inet t: File exists");
        assert!(error.is_present());
        assert_eq!(listed(), "");
        assert_eq!(query::table(&mut socket, Family::Inet, "t"), Ok(None));
    });
}

#[test]
fn more_errors_than_the_receive_buffer_holds() {
    fresh(|| {
        let mut socket = socket();
        let mut transaction = Transaction::new();
        for number in 0..3000 {
            transaction.push(Change::DeleteTable { table: Table::new(Family::Ip, format!("absent{number}")) });
        }
        let error = transaction.commit(&mut socket).expect_err("none of them is there");
        assert_eq!(error.to_string(), "delete table ip absent0: No such file or directory");
        Transaction::new().add_table(&table()).commit(&mut socket).expect("a commit");
    });
}

#[test]
fn another_generation() {
    fresh(|| {
        let mut socket = socket();
        let generation = query::generation(&mut socket).expect("a generation");
        let mut transaction = Transaction::new();
        transaction.add_table(&table()).at_generation(generation);
        transaction.commit(&mut socket).expect("nobody came between");
        let error = transaction.commit(&mut socket).expect_err("the first commit came between");
        assert_eq!(error.errno, libc::ERESTART);
        assert!(query::generation(&mut socket).expect("a generation") > generation);
    });
}

#[test]
fn without_the_privilege() {
    fresh(|| {
        let mut socket = socket();
        // SAFETY: drops this thread's privileges, by the system call itself since libc's wrapper is for all threads.
        let status = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        assert_eq!(status, 0);
        let error = Transaction::new().add_table(&table()).commit(&mut socket).expect_err("not root");
        assert_eq!(error.errno, libc::EPERM);
    });
}

#[test]
fn an_element_that_is_there_with_other_data_or_not_there() {
    fresh(|| {
        let mut socket = socket();
        let set = Set::new("s", [Field::InetService]);
        let element = || vec![Element::new([Value::Port(80)])];
        let mut transaction = Transaction::new();
        transaction.add_table(&table()).add_set(&table(), &set).add_elements(&table(), &set, element());
        transaction.commit(&mut socket).expect("a commit");
        transaction.commit(&mut socket).expect("the same again changes nothing");
        let mut transaction = Transaction::new();
        transaction.push(Change::AddElements {
            table: table(),
            set: "s".into(),
            interval: false,
            elements: element(),
            create: true,
        });
        let error = transaction.commit(&mut socket).expect_err("it is there");
        assert_eq!(error.to_string(), "create element inet t s { 80 }: File exists");
        let mut transaction = Transaction::new();
        transaction.delete_elements(&table(), &set, vec![Element::new([Value::Port(81)])]);
        let error = transaction.commit(&mut socket).expect_err("it is not there");
        assert_eq!(error.to_string(), "delete element inet t s { 81 }: No such file or directory");
    });
}
