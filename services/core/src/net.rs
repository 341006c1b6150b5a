//! Sockets: the only code of the mesh that binds or connects.
//!
//! Promises: every connection has TCP_NODELAY and the same HTTP/2 settings, a channel that fails dials again on the
//! next call, and the network is a value, so that the same code runs under a simulator. Leaves serving to
//! `server` and choosing among instances to `channel`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

pub use stream::Stream;

use dial::Dialer;

mod dial;
mod stream;
#[cfg(test)]
mod tests;

/// Timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A busy connection without a sign of life for this long is probed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// A probe without an answer for this long ends the connection.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// HTTP/2 window of one stream: large bodies must not wait for window updates on each 64 KiB.
pub const STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// HTTP/2 window of one connection, shared by its streams.
pub const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// Bytes of an answer's headers. Statuses with their details travel there; hyper would take 16 KiB, and fail the call.
pub const HEADER_LIST_BYTES_MAX: u32 = 64 << 10;

/// Flow-control windows of a client's connection: bytes that a server may send before they are read (RFC 9113, 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    stream_bytes: u32,
    connection_bytes: u32,
}

impl Windows {
    /// For calls with large answers, which are read as they come.
    pub const FEW_STREAMS: Self = Self {
        stream_bytes: STREAM_WINDOW_BYTES,
        connection_bytes: CONNECTION_WINDOW_BYTES,
    };
    /// For thousands of streams, any number of which may go unread: all their windows fit into the connection's, so that
    /// the others go on.
    pub const MANY_STREAMS: Self = Self {
        stream_bytes: 16 << 10,
        connection_bytes: 64 << 20,
    };
}

/// The network on which sockets are made: the system's, or that of [turmoil](https://docs.rs/turmoil).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Net {
    /// The operating system's.
    #[default]
    Os,
    /// The simulator's; usable only inside a simulated host.
    #[cfg(feature = "simulation")]
    Simulated,
}

/// A bound socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    local_addr: SocketAddr,
}

enum Socket {
    Os(tokio::net::TcpListener),
    #[cfg(feature = "simulation")]
    Simulated(turmoil::net::TcpListener),
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The simulator's listener has no Debug of its own.
        out.write_str(match self {
            Socket::Os(_) => "os",
            #[cfg(feature = "simulation")]
            Socket::Simulated(_) => "simulated",
        })
    }
}

impl Net {
    /// Returns true on the simulator's network.
    pub fn is_simulated(self) -> bool {
        self != Net::Os
    }

    /// Binds `addr` (`HOST:PORT`; port 0 takes a free one) and listens.
    #[expect(clippy::disallowed_methods, reason = "the one place that binds")]
    pub async fn bind(self, addr: &str) -> io::Result<Listener> {
        let socket = match self {
            Net::Os => Socket::Os(tokio::net::TcpListener::bind(addr).await?),
            #[cfg(feature = "simulation")]
            Net::Simulated => Socket::Simulated(turmoil::net::TcpListener::bind(addr).await?),
        };
        let local_addr = match &socket {
            Socket::Os(listener) => listener.local_addr()?,
            #[cfg(feature = "simulation")]
            Socket::Simulated(listener) => listener.local_addr()?,
        };
        Ok(Listener { socket, local_addr })
    }

    /// Connects to `authority` (`HOST:PORT`). Waits as long as the system does: put a deadline around it.
    #[expect(clippy::disallowed_methods, reason = "the one place that connects")]
    pub async fn connect(self, authority: &str) -> io::Result<Stream> {
        match self {
            Net::Os => {
                let stream = tokio::net::TcpStream::connect(authority).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Os(stream))
            }
            #[cfg(feature = "simulation")]
            Net::Simulated => Ok(Stream::Simulated(turmoil::net::TcpStream::connect(authority).await?)),
        }
    }

    /// A gRPC channel to one address (`HOST:PORT`, also with `http://` before it). It dials on first use, and
    /// again on the first call after a connection ended; a call that cannot connect fails with UNAVAILABLE.
    pub fn channel(self, authority: &str) -> Channel {
        self.channel_with(authority, Windows::FEW_STREAMS)
    }

    /// The same channel with other flow-control windows.
    pub fn channel_with(self, authority: &str, windows: Windows) -> Channel {
        let dialer = Dialer::new(self, vec![authority.to_owned()]);
        endpoint(dialer.first(), windows).connect_with_connector_lazy(dialer)
    }

    /// A gRPC channel whose every new connection dials the next of `endpoints`, so that a dead one is left behind.
    /// Without endpoints each call fails.
    pub fn rotating_channel(self, endpoints: Vec<String>) -> Channel {
        let dialer = Dialer::new(self, endpoints);
        endpoint(dialer.first(), Windows::FEW_STREAMS).connect_with_connector_lazy(dialer)
    }
}

impl Listener {
    /// The address that it is bound to, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Waits for the next connection. Errors concern one connection or a passing shortage (file descriptors).
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match &self.socket {
            Socket::Os(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Stream::Os(stream), peer))
            }
            #[cfg(feature = "simulation")]
            Socket::Simulated(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Simulated(stream), peer))
            }
        }
    }
}

/// The settings of every client connection.
fn endpoint(authority: &str, windows: Windows) -> Endpoint {
    // The dialer has the real address; this URI only fills the `:authority` header.
    let uri = Endpoint::from_shared(format!("http://{authority}"));
    uri.unwrap_or_else(|_| Endpoint::from_static("http://unusable.invalid"))
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        // Servers answer pings on idle connections with GOAWAY (too many pings).
        .keep_alive_while_idle(false)
        .initial_stream_window_size(windows.stream_bytes)
        .initial_connection_window_size(windows.connection_bytes)
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
}
