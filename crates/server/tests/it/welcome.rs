//! `serve --welcome`: the printed line works when pasted.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::Place;

/// Starts the server, returns what it printed up to the line to paste, and what that line's request answers.
fn first_words(place: &Place) -> (String, String) {
    let mut child = place
        .command(&["serve", "--listen", "127.0.0.1:0", "--welcome", "My business"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut said = String::new();
    let mut line = String::new();
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    while !line.starts_with("  curl -s ") {
        line.clear();
        assert!(lines.read_line(&mut line).expect("text") > 0, "it ended: {said}");
        said.push_str(&line);
    }
    let url = line.split_whitespace().nth(2).expect("an address").replace("localhost", "127.0.0.1");
    let address = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/v1/whoami")).expect("the route");
    let headers: Vec<_> = line.split('"').skip(1).step_by(2).collect();
    let headers = headers.join(
        "
",
    );
    let answer = crate::process::exchange(
        address.parse().expect("an address"),
        format!("GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n\r\n").as_bytes(),
    );
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("not zero");
    kill_process(pid, Signal::TERM).expect("sent");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    (said, answer)
}

#[test]
fn the_pasted_line_answers_at_every_start() {
    let place = Place::new();
    let (said, answer) = first_words(&place);
    assert!(answer.starts_with("HTTP/1.1 200"), "{said}\n{answer}");
    assert!(said.contains("Business  My business\n"), "{said}");
    for part in ["  TEST  secret    Mileston_TEST_", "  LIVE  checkout  Mileston_LIVE_CHECKOUTKEY_", "never again"] {
        assert!(said.contains(part), "{said}");
    }
    let (again, answer) = first_words(&place);
    assert!(answer.starts_with("HTTP/1.1 200"), "{again}\n{answer}");
    assert!(!again.contains("LIVE"), "{again}");
}
