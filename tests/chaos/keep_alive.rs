//! Connections of HTTP/1.1 that their clients keep, while the gateway leaves: each request that was sent is answered.

use std::time::Duration;

use lepton_core::net::{Net, Stream};
use lepton_tests::mesh::Up;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::serial::exclusive;

/// Clients at once.
const CLIENTS: usize = 20;
/// How long they ask before the signal.
const BEFORE: Duration = Duration::from_secs(1);

/// A client's end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// An answer announced that the connection closes.
    Announced,
    /// A request got no answer.
    Lost,
}

/// The head of the next answer, after its body has been read; none when the connection ended before.
async fn next_answer(stream: &mut Stream) -> Option<String> {
    let (mut answer, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        if let Some(end) = answer.windows(4).position(|end| end == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end + 4]).to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1)?.lines().next()?;
            if answer.len() - end - 4 >= length.parse::<usize>().ok()? {
                return Some(head);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(length @ 1..) => answer.extend_from_slice(&buffer[..length]),
            _ => return None,
        }
    }
}

/// Submits again and again over one connection.
async fn client(authority: String) -> End {
    let mut stream = Net::Os.connect(&authority).await.expect("the gateway listens");
    let body = r#"{"kind":"echo","input":1}"#;
    let length = body.len();
    let request = format!("POST /api/v1/tasks HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {length}\r\n\r\n{body}");
    loop {
        if stream.write_all(request.as_bytes()).await.is_err() {
            return End::Lost;
        }
        match next_answer(&mut stream).await {
            Some(head) if head.contains("\r\nconnection: close\r\n") => return End::Announced,
            Some(_) => {}
            None => return End::Lost,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_leaves_answers_every_request_of_a_kept_connection() {
    let _alone = exclusive().await;
    let mut up = Up::fresh().await;
    let authority = up.rest().authority().to_owned();
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(client(authority.clone()))).collect();
    tokio::time::sleep(BEFORE).await;
    up.process.terminate();
    for client in clients {
        assert_eq!(client.await.expect("no panic"), End::Announced);
    }
    assert_eq!(up.process.end().await.code(), Some(0), "{}", up.process.stderr());
}
