//! The end of a server: announced, complete and bounded.

use super::*;

#[tokio::test]
async fn a_drain_finishes_what_was_begun_and_cuts_off_the_rest() {
    let server = start(Limits {
        drain_timeout: Duration::from_secs(1),
        ..Limits::default()
    })
    .await;
    let (slow, never) = tokio::join!(server.http("/until-drain", ""), async {
        let mut stream = Net::Os.connect(&server.address).await.unwrap();
        stream
            .write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        // Only once both are at work, the shutdown comes.
        let at_work = "lepton_requests_in_flight{service=\"test\"} 2.0";
        let both = async {
            while !server.metrics.text().unwrap().contains(at_work) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
        server.shutdown.trigger();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        rest
    });
    assert!(slow.starts_with("HTTP/1.1 200 "), "{slow}");
    assert!(never.is_empty());
    server.stop().await;
}

/// A client that keeps its connection and asks again and again. Gives how many answers it got, and whether the last one told it
/// to go; an error if a request that it sent got none.
async fn keep_asking(address: String) -> Result<usize, usize> {
    let mut stream = Net::Os.connect(&address).await.unwrap();
    let mut buffer = vec![0; 4_096];
    for answers in 0.. {
        if stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.is_err() {
            return Err(answers);
        }
        let mut answer = String::new();
        while !answer.ends_with("hello") {
            match stream.read(&mut buffer).await {
                Ok(length @ 1..) => answer.push_str(&String::from_utf8_lossy(&buffer[..length])),
                _ => return Err(answers),
            }
        }
        if answer.contains("connection: close\r\n") {
            return Ok(answers + 1);
        }
    }
    unreachable!("it ends by an answer or without one")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_announces_itself_and_loses_no_request() {
    let server = start(Limits::default()).await;
    let clients: Vec<_> = (0..20)
        .map(|_| tokio::spawn(keep_asking(server.address.clone())))
        .collect();
    let busy = async {
        let answered = "lepton_requests_total{service=\"test\",method=\"/\",code=\"200\"} ";
        let enough = |text: &str| {
            let count = text.split(answered).nth(1).and_then(|rest| rest.lines().next());
            count.and_then(|count| count.parse().ok()).unwrap_or(0) > 200
        };
        while !enough(&server.metrics.text().unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), busy).await.unwrap();
    server.shutdown.trigger();
    for client in clients {
        let answers = client.await.unwrap();
        assert!(answers.is_ok(), "a request got no answer: {answers:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_on_its_way_to_an_idle_connection_is_answered() {
    let server = start(Limits::default()).await;
    let mut stream = Net::Os.connect(&server.address).await.unwrap();
    let mut answer = vec![0; 4_096];
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    server.shutdown.trigger();
    // The server has been told, and the client cannot know.
    tokio::task::yield_now().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"),
        "{answer}"
    );
    server.stop().await;
}
