//! A resident's browser without JavaScript, in plain HTTP/1.1: enough for the journey of a form.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Head, lower case.
    pub head: String,
    /// Body.
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

const BOUNDARY: &str = "----mulot0123456789";

/// One connection, kept alive.
pub struct Client(TcpStream);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Client(stream))
    }

    /// Asks for a page.
    ///
    /// # Errors
    /// When the connection is cut.
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// Posts a form, percent-encoded.
    ///
    /// # Errors
    /// When the connection is cut.
    pub fn post(&mut self, path: &str, fields: &[(String, String)]) -> io::Result<Answer> {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let body = body.join("&");
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Posts a form with one file, as a page with a file question does.
    ///
    /// # Errors
    /// When the connection is cut.
    pub fn post_with_file(
        &mut self,
        path: &str,
        fields: &[(String, String)],
        (field, name, bytes): (&str, &str, &[u8]),
    ) -> io::Result<Answer> {
        self.begin_with_file(path, fields, (field, name, bytes.len()))?;
        self.0.write_all(bytes)?;
        self.send(&format!("\r\n--{BOUNDARY}--\r\n"))
    }

    /// The same up to the file's bytes, which [`Client::end_with_file`] sends: what happens in between is the caller's.
    ///
    /// # Errors
    /// When the connection is cut.
    pub fn begin_with_file(
        &mut self,
        path: &str,
        fields: &[(String, String)],
        (field, name, length): (&str, &str, usize),
    ) -> io::Result<()> {
        let mut parts = String::new();
        for (name, value) in fields {
            parts += &format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        parts += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let length = parts.len() + length + BOUNDARY.len() + 8;
        self.0.write_all(
            format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
                 Content-Length: {length}\r\n\r\n{parts}"
            )
            .as_bytes(),
        )
    }

    /// Sends bytes of the file that [`Client::begin_with_file`] announced.
    ///
    /// # Errors
    /// When the connection is cut.
    pub fn more_of_file(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Sends the last bytes of the file and reads the answer.
    ///
    /// # Errors
    /// When the connection is cut.
    pub fn end_with_file(&mut self, bytes: &[u8]) -> io::Result<Answer> {
        self.0.write_all(bytes)?;
        self.send(&format!("\r\n--{BOUNDARY}--\r\n"))
    }

    fn send(&mut self, request: &str) -> io::Result<Answer> {
        self.0.write_all(request.as_bytes())?;
        self.read()
    }

    fn read(&mut self) -> io::Result<Answer> {
        let mut answer = Vec::new();
        let mut chunk = [0u8; 16 * 1024];
        loop {
            let read = self.0.read(&mut chunk)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.extend_from_slice(&chunk[..read]);
            let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            let chunked_end = head.contains("transfer-encoding: chunked") && answer.ends_with(b"0\r\n\r\n");
            if chunked_end || length.is_some_and(|length| answer.len() >= end + 4 + length) {
                let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
                return Ok(Answer { status, head, body: String::from_utf8_lossy(&answer[end + 4..]).into_owned() });
            }
        }
    }
}

/// Name and value of every hidden input of a page.
pub fn hidden_inputs(page: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let at = tag.find(&format!("{name}=\""))? + name.len() + 2;
        let value = tag[at..].split('"').next()?;
        let entities =
            [("&#x27;", "'"), ("&#39;", "'"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
        Some(entities.iter().fold(value.to_owned(), |value, (entity, character)| value.replace(entity, character)))
    };
    let tags = page.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap_or(""));
    tags.filter(|tag| tag.contains("type=\"hidden\""))
        .filter_map(|tag| Some((attribute(tag, " name")?, attribute(tag, " value")?)))
        .collect()
}

/// The answers of the form « contact ».
pub fn contact(number: usize) -> Vec<(String, String)> {
    let pairs = [
        ("message", format!("Bonjour, ceci est le message numéro {number}.")),
        ("nom", "Jeanne Martin".to_owned()),
        ("courriel", format!("jeanne.{number}@exemple.example")),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
