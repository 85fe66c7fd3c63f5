//! A mail server that takes everything and counts the messages by their identifier.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How often each Message-ID was taken, and the lines of the last one, without their ends.
type Taken = Arc<Mutex<BTreeMap<String, (usize, String)>>>;

/// The server; it listens as long as the program runs.
pub struct Letters {
    /// Its port on this machine.
    pub port: u16,
    taken: Taken,
}

impl Letters {
    /// Starts it.
    pub fn start() -> Letters {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let letters = Letters { port: listener.local_addr().unwrap().port(), taken: Taken::default() };
        let taken = letters.taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = taken.clone();
                // Who is killed in the middle of a message has sent none.
                std::thread::spawn(move || drop(serve(stream, &taken)));
            }
        });
        letters
    }

    /// Messages to the mairie about this reference.
    pub fn of_mairie(&self, reference: &str) -> usize {
        let name = format!("{}.mairie@", reference.to_lowercase());
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|(id, _)| id.starts_with(&name)).map(|(_, (count, _))| count).sum()
    }

    /// Whether the mairie's message about this reference carries a file of these bytes.
    pub fn carries(&self, reference: &str, bytes: &[u8]) -> bool {
        let name = format!("{}.mairie@", reference.to_lowercase());
        let wanted = data_encoding::BASE64.encode(bytes);
        let taken = self.taken.lock().unwrap();
        taken.iter().any(|(id, (_, text))| id.starts_with(&name) && text.contains(&wanted))
    }

    /// Messages taken more than once.
    pub fn sent_again(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|(_, (count, _))| *count > 1).map(|(id, _)| id.clone()).collect()
    }
}

fn serve(stream: TcpStream, taken: &Taken) -> io::Result<()> {
    let (mut lines, mut out) = (BufReader::new(stream.try_clone()?).lines(), stream);
    out.write_all(b"220 boite\r\n")?;
    while let Some(line) = lines.next() {
        let line = line?.to_uppercase();
        if line.starts_with("QUIT") {
            return out.write_all(b"221 au revoir\r\n");
        }
        if !line.starts_with("DATA") {
            out.write_all(b"250 bien\r\n")?;
            continue;
        }
        out.write_all(b"354 dites\r\n")?;
        let (mut id, mut text) = (String::new(), String::new());
        loop {
            let line = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
            if line == "." {
                break;
            }
            if let (true, Some(name)) = (id.is_empty(), line.strip_prefix("Message-ID: <")) {
                id = name.trim_end_matches('>').to_lowercase();
            }
            text.push_str(&line);
        }
        let mut taken = taken.lock().unwrap();
        let count = taken.get(&id).map_or(0, |(count, _)| *count);
        taken.insert(id, (count + 1, text));
        drop(taken);
        out.write_all(b"250 pris\r\n")?;
    }
    Ok(())
}
