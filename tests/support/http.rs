//! As much HTTP as it takes to ask a server on loopback.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends one request, and gives the whole answer, its head included.
///
/// # Errors
///
/// Of the connection. What the server thinks of the request stands in the answer.
pub(crate) async fn http(server: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(server).await?;
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    connection.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}
