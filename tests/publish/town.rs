//! A commune with a target, its versions, and the program run on it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mulot::publish::{Entry, broken_at};

use crate::commune_test::{CommuneTest, Run};

/// The minimal commune, published somewhere.
pub struct Town {
    test: CommuneTest,
    version: u32,
}

impl Town {
    /// With these lines in `[publication]`.
    pub fn new(target: &str) -> Town {
        let test = CommuneTest::minimal().append("commune.toml", &format!("\n[publication]\n{target}\n"));
        Town { test, version: 0 }
    }

    pub fn root(&self) -> &Path {
        self.test.root()
    }

    pub fn folder(&self) -> PathBuf {
        self.test.folder()
    }

    /// Another telephone on every page; a news item more each time, and the one before gone every other time.
    pub fn change(&mut self) {
        self.version += 1;
        let number = self.version;
        let toml = self.test.folder().join("commune.toml");
        let text = std::fs::read_to_string(&toml).unwrap();
        let at = text.find("telephone = \"").unwrap() + "telephone = \"".len();
        let changed = format!("{}04 65 71 00 {:02}{}", &text[..at], number + 10, &text[at + 14..]);
        std::fs::write(&toml, changed).unwrap();
        let news = self.test.folder().join("actualites");
        std::fs::create_dir_all(&news).unwrap();
        if number.is_multiple_of(2) {
            // Already gone where the folder was put back as it was.
            let _ = std::fs::remove_file(news.join(format!("2026-11-01-nouvelle-{}.md", number - 1)));
        }
        let item =
            format!("+++\ntitre = \"Nouvelle {number}\"\nresume = \"Courte\"\ndate = 2026-11-01\n+++\n\nUn texte.\n");
        std::fs::write(news.join(format!("2026-11-01-nouvelle-{number}.md")), item).unwrap();
    }

    /// The site of this version, built aside.
    pub fn built(&self) -> PathBuf {
        let to = format!("version-{}", self.version);
        let run = self.test.run(&["build", "commune", "--date", "2026-11-21", "--sortie", &to]);
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        self.root().join(to)
    }

    /// `mulot publish commune` and these words.
    pub fn publish(&self, words: &[&str]) -> Run {
        let mut all = vec!["publish", "commune", "--date", "2026-11-21"];
        all.extend_from_slice(words);
        self.test.run(&all)
    }

    /// The same, which must succeed.
    pub fn publish_well(&self, words: &[&str]) -> Run {
        let run = self.publish(words);
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        run
    }

    /// The same, which must fail so, saying these words.
    pub fn publish_badly(&self, words: &[&str], code: i32, sentence: &str) -> Run {
        let run = self.publish(words);
        assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(sentence), "{}", run.stderr);
        assert!(run.stderr.contains("aide : ") && !run.stderr.contains("panicked"), "{}", run.stderr);
        run
    }

    /// The order, ready to be started.
    pub fn command(&self) -> Command {
        self.test.command(&["publish", "commune", "--date", "2026-11-21"])
    }

    /// Started, and left to itself.
    pub fn start(&self) -> Child {
        self.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Lines of the register, whose chain must be whole.
    pub fn register(&self) -> Vec<Entry> {
        let text = std::fs::read_to_string(self.root().join("commune-publications/registre.jsonl")).unwrap_or_default();
        assert_eq!(broken_at(&text), None, "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
