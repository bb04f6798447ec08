//! A name server that misbehaves to a script: between those who ask and a real one, whose answers it spoils.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Runtime;

/// What is sent instead of the real server's answer (the second) to a question (the first); nothing where it is `None`.
///
/// The answer is the whole one: over UDP it is sent whatever its size.
pub(crate) type Script = fn(&Message, Message) -> Option<Message>;

/// Answers for as long as it is there.
pub(crate) struct Misbehaving(#[expect(dead_code, reason = "its threads are the server")] Runtime);

impl Misbehaving {
    /// Listens on port 53 of these addresses, for the real server on port 53 of loopback. It belongs to the host that it is
    /// started on.
    pub(crate) fn start(addresses: &[&str], script: Script) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        for address in addresses {
            let place = (address.parse::<IpAddr>().expect("an address"), 53);
            let (udp, tcp) = runtime.block_on(async { (UdpSocket::bind(place).await, TcpListener::bind(place).await) });
            runtime.spawn(over_udp(Arc::new(udp.expect("a socket")), script));
            runtime.spawn(over_tcp(tcp.expect("a socket"), script));
        }
        Self(runtime)
    }
}

async fn over_udp(socket: Arc<UdpSocket>, script: Script) {
    let mut buffer = [0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        let (socket, request) = (Arc::clone(&socket), buffer[..length].to_vec());
        tokio::spawn(async move {
            if let Some(response) = response(&request, script).await {
                let _ = socket.send_to(&response, peer).await;
            }
        });
    }
}

async fn over_tcp(listener: TcpListener, script: Script) {
    while let Ok((mut connection, _)) = listener.accept().await {
        tokio::spawn(async move {
            while let Ok(request) = receive(&mut connection).await {
                let Some(response) = response(&request, script).await else { return };
                let _ = send(&mut connection, &response).await;
            }
        });
    }
}

/// What is said to this request, if anything.
async fn response(request: &[u8], script: Script) -> Option<Vec<u8>> {
    let mut real = TcpStream::connect((Ipv6Addr::LOCALHOST, 53)).await.ok()?;
    send(&mut real, request).await.ok()?;
    let truth = receive(&mut real).await.ok()?;
    let [request, truth] = [request, &truth].map(|octets| Message::from_vec(octets).expect("a message"));
    script(&request, truth).map(|response| response.to_vec().expect("octets"))
}

async fn send(connection: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).expect("a message's length");
    connection.write_all(&[&length.to_be_bytes(), message].concat()).await
}

async fn receive(connection: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(connection.read_u16().await?)];
    connection.read_exact(&mut message).await?;
    Ok(message)
}
