//! A connection to a server of FTP: commands, their replies, and the connections that content travels on
//! ([RFC 959](https://www.rfc-editor.org/rfc/rfc959), [RFC 4217](https://www.rfc-editor.org/rfc/rfc4217) for TLS).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::super::secret::Secret;
use super::super::{Error, Result, Stop};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a reply at most.
const LONGEST_REPLY: u64 = 64 << 10;

/// How a server is reached.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) silence: Duration,
    /// What is never told, whoever says it.
    pub(super) secrets: Vec<Secret>,
}

#[derive(Clone)]
pub(super) enum Tls {
    None,
    /// Asked for by `AUTH TLS`.
    Explicit(Arc<ClientConfig>),
    /// From the first byte on.
    Implicit(Arc<ClientConfig>),
}

/// What a server answers.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether the server does not know the command.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.code, 500 | 502 | 504)
    }
}

enum Stream {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Secure(stream) => match stream.read(buffer) {
                // Many servers hang up without a word; whether all came is told by its length.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                other => other,
            },
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Secure(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Secure(stream) => stream.flush(),
        }
    }
}

/// A connection that commands go by.
pub(super) struct Control {
    server: Server,
    stream: BufReader<Stream>,
    address: IpAddr,
    /// Whether content is to be encrypted.
    protected: bool,
}

/// A connection that content travels on.
pub(super) struct Data(Stream);

impl Data {
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Says that this was all.
    pub(super) fn close(self) -> io::Result<()> {
        match self.0 {
            Stream::Plain(stream) => stream.shutdown(std::net::Shutdown::Write),
            Stream::Secure(mut stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(std::net::Shutdown::Write)
            }
        }
    }
}

impl Control {
    /// Connects, and encrypts if it is to be: there is no way back to plain words.
    pub(super) fn open(server: &Server) -> Result<Self, Stop> {
        let failed = |error: io::Error| server.broken(&error);
        let addresses = (server.host.as_str(), server.port).to_socket_addrs().map_err(failed)?;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let mut connected = None;
        for address in addresses {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    connected = Some(stream);
                    break;
                }
                Err(error) => last = error,
            }
        }
        let Some(stream) = connected else { return Err(failed(last)) };
        server.prepare(&stream).map_err(failed)?;
        let address = stream.peer_addr().map_err(failed)?.ip();
        let stream = match &server.tls {
            Tls::Implicit(config) => server.encrypt(config, stream)?,
            Tls::None | Tls::Explicit(_) => Stream::Plain(stream),
        };
        let mut control = Self { server: server.clone(), stream: BufReader::new(stream), address, protected: false };
        let greeting = control.reply()?;
        if !greeting.is_good() {
            return Err(Stop::Broken(control.refused("it takes no connection now", &greeting)));
        }
        if let Tls::Explicit(config) = &server.tls {
            let answer = control.ask(b"AUTH TLS")?;
            if answer.code != 234 {
                return Err(control.refused("it does not encrypt", &answer).into());
            }
            // Whatever came behind the answer was not encrypted, and may be somebody else's.
            if !control.stream.buffer().is_empty() {
                return Err(server.failure("it speaks when it is not its turn").into());
            }
            let Stream::Plain(stream) = control.stream.into_inner() else {
                return Err(server.failure("it can't be encrypted twice").into());
            };
            control.stream = BufReader::new(server.encrypt(config, stream)?);
        }
        Ok(control)
    }

    /// Who asks, and how content is sent. False when the server wants to know somebody else.
    pub(super) fn log_in(&mut self, user: &str, password: &str) -> Result<bool, Stop> {
        let mut answer = self.ask(format!("USER {user}").as_bytes())?;
        if answer.code == 331 {
            answer = self.ask(format!("PASS {password}").as_bytes())?;
        }
        match answer.code {
            200..300 => {}
            332 | 430 | 530..534 => return Ok(false),
            421 => return Err(Stop::Broken(self.refused("it takes no user now", &answer))),
            _ => return Err(self.refused("it does not take the user", &answer).into()),
        }
        if !matches!(self.server.tls, Tls::None) {
            self.expect(b"PBSZ 0", "it does not encrypt content")?;
            self.expect(b"PROT P", "it does not encrypt content")?;
            self.protected = true;
        }
        self.expect(b"TYPE I", "it does not send bytes as they are")?;
        Ok(true)
    }

    fn expect(&mut self, command: &[u8], otherwise: &str) -> Result<(), Stop> {
        let answer = self.ask(command)?;
        if answer.is_good() { Ok(()) } else { Err(self.refused(otherwise, &answer).into()) }
    }

    /// A command and its answer.
    pub(super) fn ask(&mut self, command: &[u8]) -> Result<Reply, Stop> {
        // A further line would be a further command.
        if command.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(self.server.failure("a name holds what no command can").into());
        }
        let mut line = command.to_vec();
        line.extend(b"\r\n");
        let stream = self.stream.get_mut();
        stream.write_all(&line).and_then(|()| stream.flush()).map_err(|error| self.server.broken(&error))?;
        self.reply()
    }

    /// The next answer, which may take several lines.
    pub(super) fn reply(&mut self) -> Result<Reply, Stop> {
        let mut text = Vec::new();
        let mut begun: Option<Vec<u8>> = None;
        let mut left = LONGEST_REPLY;
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(left).read_until(b'\n', &mut line);
            let count = read.map_err(|error| self.server.broken(&error))?;
            left = left.saturating_sub(count as u64);
            if line.last() != Some(&b'\n') {
                let what = if left == 0 { "its answer has no end" } else { "the connection broke off" };
                return Err(Stop::Broken(self.server.failure(what)));
            }
            let line = line.trim_ascii_end();
            let (number, rest) = line.split_at(line.len().min(3));
            let is_number = number.len() == 3 && number.iter().all(u8::is_ascii_digit);
            let last = match &begun {
                None if !is_number => return Err(self.server.failure("what answers there speaks no FTP").into()),
                None => rest.first() != Some(&b'-'),
                Some(begun) => number == begun && rest.first() == Some(&b' '),
            };
            text.extend(if is_number { rest.get(1..).unwrap_or_default() } else { line });
            if last {
                let code = begun.as_deref().unwrap_or(number);
                let code = code.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
                return Ok(Reply { code, text: String::from_utf8_lossy(&text).into_owned() });
            }
            begun.get_or_insert_with(|| number.to_vec());
            text.push(b'\n');
        }
    }

    /// Has content sent or taken, from a byte on. None where the server has nothing of that name.
    pub(super) fn transfer(&mut self, command: &[u8], from: u64) -> Result<Result<Data, Reply>, Stop> {
        let port = self.passive()?;
        let address = SocketAddr::new(self.address, port);
        if from > 0 {
            let answer = self.ask(format!("REST {from}").as_bytes())?;
            if answer.code != 350 {
                return Err(self.refused("it can't go on from the middle", &answer).into());
            }
        }
        let stream =
            TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).map_err(|error| self.server.broken(&error))?;
        self.server.prepare(&stream).map_err(|error| self.server.broken(&error))?;
        let answer = self.ask(command)?;
        match answer.code {
            100..200 => {}
            421 | 425 | 426 => return Err(Stop::Broken(self.refused("it sends nothing now", &answer))),
            _ => return Ok(Err(answer)),
        }
        let stream = match (&self.server.tls, self.protected) {
            (Tls::Explicit(config) | Tls::Implicit(config), true) => self.server.encrypt(config, stream)?,
            _ => Stream::Plain(stream),
        };
        Ok(Ok(Data(stream)))
    }

    /// A port to connect to, on the very computer that answers: the address that it tells might be anybody's.
    fn passive(&mut self) -> Result<u16, Stop> {
        let answer = self.ask(b"EPSV")?;
        if answer.code == 229
            && let Some(port) = extended_port(&answer.text)
        {
            return Ok(port);
        }
        let answer = self.ask(b"PASV")?;
        let port = (answer.code == 227).then(|| passive_port(&answer.text)).flatten();
        port.ok_or_else(|| self.refused("it names no port for content", &answer).into())
    }

    /// A refusal, with the server's words where they hold no secret.
    pub(super) fn refused(&self, what: &str, reply: &Reply) -> Error {
        let mut words = reply.text.lines().next().unwrap_or_default().chars().take(200).collect::<String>();
        for secret in &self.server.secrets {
            if !secret.reveal().is_empty() {
                words = words.replace(secret.reveal(), "***");
            }
        }
        self.server.failure(format_args!("{what} ({} {})", reply.code, words.escape_debug()))
    }

    pub(super) fn broken(&self, error: &io::Error) -> Stop {
        self.server.broken(error)
    }

    pub(super) fn failure(&self, what: impl std::fmt::Display) -> Error {
        self.server.failure(what)
    }
}

impl Server {
    fn prepare(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.silence))?;
        stream.set_write_timeout(Some(self.silence))
    }

    fn encrypt(&self, config: &Arc<ClientConfig>, mut stream: TcpStream) -> Result<Stream, Stop> {
        let name = ServerName::try_from(self.host.clone()).map_err(|_| self.failure("its name can't be one of TLS"))?;
        let connection = ClientConnection::new(config.clone(), name);
        let mut connection = connection.map_err(|error| self.failure(error))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => Stop::Failed(self.failure(format_args!("TLS: {error}"))),
                _ => self.broken(&error),
            })?;
        }
        Ok(Stream::Secure(Box::new(StreamOwned::new(connection, stream))))
    }

    /// A connection that broke; a server that says nothing more is given up.
    fn broken(&self, error: &io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Stop::Failed(self.failure(format_args!("timeout: the server sent nothing for {:?}", self.silence)))
            }
            _ => Stop::Broken(self.failure(error)),
        }
    }

    pub(super) fn failure(&self, what: impl std::fmt::Display) -> Error {
        Error::Other(format!("the server `{}`: {what}", self.host))
    }
}

/// `Entering Extended Passive Mode (|||6446|)`
fn extended_port(text: &str) -> Option<u16> {
    let inside = text.split_once('(')?.1;
    let mut parts = inside.split(inside.chars().next()?);
    parts.nth(3)?.parse().ok().filter(|port| *port != 0)
}

/// `Entering Passive Mode (127,0,0,1,25,46)`
fn passive_port(text: &str) -> Option<u16> {
    let begin = text.find(|c: char| c.is_ascii_digit())?;
    let numbers = text[begin..].split(|c: char| !c.is_ascii_digit()).take(6);
    let numbers = numbers.map(|number| number.parse::<u8>().ok()).collect::<Option<Vec<_>>>()?;
    match numbers[..] {
        [_, _, _, _, high, low] => Some(u16::from(high) << 8 | u16::from(low)).filter(|port| *port != 0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read() {
        assert_eq!(extended_port("Entering extended passive mode (|||6446|)."), Some(6446));
        for odd in ["", "(", "(|||0|)", "(|||x|)", "(||||)", "(|||99999|)"] {
            assert_eq!(extended_port(odd), None, "{odd}");
        }
        assert_eq!(passive_port("Entering passive mode (10,0,0,1,25,46)."), Some(6446));
        for odd in ["", "(1,2,3,4,5)", "(1,2,3,4,0,0)", "(1,2,3,4,256,1)"] {
            assert_eq!(passive_port(odd), None, "{odd}");
        }
    }
}
