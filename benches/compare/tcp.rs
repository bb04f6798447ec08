//! The load over TCP: bursts of questions on connections that stay, and a connection for each question.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Result;
use crate::load::Tally;
use crate::questions::{Kind, Questions};

/// Connections that stay.
const CONNECTIONS: usize = 8;
/// Questions in one burst.
const BURST: usize = 8;
/// Connections that are opened and closed, at a time: Knot and BIND listen with a backlog of 10, and what does not fit
/// waits for a second.
const SIMULTANEOUS: usize = 8;
/// The longest that an answer takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks in bursts for as long as `slice`.
pub(crate) fn pipelined(server: SocketAddr, questions: &mut Questions, slice: Duration) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(server)?;
        connection.send(questions, BURST)?;
        connections.push(connection);
    }
    let started = Instant::now();
    while started.elapsed() < slice {
        // While one is read from and written to, the others' questions are the server's queue.
        for connection in &mut connections {
            connection.receive(&mut tally)?;
            connection.send(questions, BURST)?;
        }
    }
    for connection in &mut connections {
        connection.receive(&mut tally)?;
    }
    Ok(tally)
}

/// Asks once on each connection for as long as `slice`.
pub(crate) fn connections(server: SocketAddr, questions: &mut Questions, slice: Duration) -> Result<Tally> {
    let mut tally = Tally::default();
    let open = |questions: &mut Questions| -> Result<Connection> {
        let mut connection = Connection::open(server)?;
        connection.send(questions, 1)?;
        Ok(connection)
    };
    let mut connections = (0..SIMULTANEOUS).map(|_| open(questions)).collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    while started.elapsed() < slice {
        for connection in &mut connections {
            connection.receive(&mut tally)?;
            *connection = open(questions)?;
        }
    }
    for connection in &mut connections {
        connection.receive(&mut tally)?;
    }
    Ok(tally)
}

struct Connection {
    stream: TcpStream,
    /// What is under way.
    asked: Vec<(u16, Kind)>,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    /// How much of `incoming` was read into.
    filled: usize,
}

impl Connection {
    fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, asked: Vec::new(), outgoing: Vec::new(), incoming: vec![0; 1 << 14], filled: 0 })
    }

    /// Asks so many questions with one write.
    fn send(&mut self, questions: &mut Questions, count: usize) -> Result<()> {
        self.outgoing.clear();
        for id in 0..u16::try_from(count)? {
            let (number, kind) = questions.next(id);
            let message = questions.get(number);
            self.outgoing.extend(u16::try_from(message.len())?.to_be_bytes());
            self.outgoing.extend(message);
            self.asked.push((id, kind));
        }
        Ok(self.stream.write_all(&self.outgoing)?)
    }

    /// Waits for the answers to all that is under way, in whatever order they come.
    fn receive(&mut self, tally: &mut Tally) -> Result<()> {
        tally.asked += self.asked.len();
        while !self.asked.is_empty() {
            let read = self.stream.read(&mut self.incoming[self.filled..])?;
            if read == 0 {
                return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into());
            }
            self.filled += read;
            let mut at = 0;
            while let Some((length, rest)) = self.incoming[at..self.filled].split_first_chunk() {
                let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*length))) else { break };
                at += 2 + message.len();
                let id = message.first_chunk().map(|&id| u16::from_be_bytes(id));
                let Some(place) = self.asked.iter().position(|&(asked, _)| Some(asked) == id) else { continue };
                let (_, kind) = self.asked.swap_remove(place);
                if kind.is_answered_by(message) {
                    tally.answered += 1;
                    tally.octets += message.len();
                }
            }
            self.incoming.copy_within(at..self.filled, 0);
            self.filled -= at;
        }
        Ok(())
    }
}
