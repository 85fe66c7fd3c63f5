use jiff::civil::date;

use super::*;
use crate::intake::compose;
use crate::intake::deliver;
use crate::intake::files::FileStore;
use crate::intake::mailer::{Letterbox, Mailer, Outcome, Phase, Refusal, Transport};
use crate::intake::store::{Acted, NewAct, testing};
use crate::intake::token::Keys;
use crate::model::dossier::{Act, ActKind};
use crate::model::form::{Delay, Identity, Nature, Silence};
use crate::model::intake::{Hold, NewSubmission, Suspicion};
use crate::model::receipt::Receipt;
use crate::model::receipt::tests::{form, issuer};
use crate::model::submission::{Sender, ValidAnswers};

struct World {
    _dir: tempfile::TempDir,
    store: Store,
    digest: Digest,
}

fn at(day: Date, hour: i8) -> Zoned {
    day.at(hour, 30, 0, 0).in_tz("Europe/Paris").unwrap()
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), testing::options()).unwrap();
        let links = Links::new(Keys::from_master(&[7; 32]), "https://www.saint-mulot.example");
        World {
            _dir: dir,
            store,
            digest: Digest { links, zone: TimeZone::get("Europe/Paris").unwrap(), daily: BTreeSet::new() },
        }
    }

    /// Records a request received that day at 10:30, sent to one mailbox.
    async fn receive(&self, number: u8, silence: Silence, day: Date, to: &str) -> Reference {
        self.receive_as((number, silence), day, to, Hold::default()).await
    }

    async fn receive_as(&self, (number, silence): (u8, Silence), day: Date, to: &str, hold: Hold) -> Reference {
        let mut form = form(Nature::Demande, Identity::Person, silence);
        form.recipients = vec![to.to_owned()];
        let reference = Reference::new(day.year(), [number; 5]);
        let received_at = at(day, 10);
        let receipt = Receipt::for_submission(&form, &issuer(), &reference, &received_at);
        let sender = Sender { name: "Jeanne Martin".into(), email: Some("jeanne@exemple.fr".into()) };
        let answers = ValidAnswers { answers: Vec::new(), sender: sender.clone(), ..ValidAnswers::default() };
        let links = self.digest.links.of(&reference, received_at.timestamp());
        let new = NewSubmission {
            reference: reference.clone(),
            nonce: [number; 16],
            form_id: form.id.clone(),
            form_title: form.title.clone(),
            received_at,
            answers: Vec::new(),
            sender,
            files: Vec::new(),
            mails: compose::mails(&form, &issuer(), &answers, &receipt, &links),
            receipt: serde_json::to_value(KeptReceipt { receipt }).unwrap(),
            purge_after: date(2030, 1, 1),
            quota: None,
            recipients_backup: Vec::new(),
        };
        self.store.record_held(new, hold).await.unwrap();
        reference
    }

    async fn act(&self, reference: &Reference, version: usize, day: Date, kind: ActKind) {
        let act = Act { at: at(day, 11), agent: None, kind, letter: Vec::new() };
        let done = self.store.act(reference, NewAct { version, act, mails: Vec::new() }).await.unwrap();
        assert_eq!(done, Acted::Done(version + 1));
    }

    /// What a morning would tell, without writing it.
    fn look(&self, day: Date) -> Option<NewBulletin> {
        super::look(&self.store, &self.digest, &at(day, 7)).unwrap()
    }

    async fn morning(&self, day: Date) -> bool {
        step(&self.store, &self.digest, at(day, 7).timestamp()).await.unwrap()
    }
}

const TWO_MONTHS: Delay = Delay::Months(2);

#[tokio::test]
async fn a_morning_has_one_mail_however_often_the_server_starts() {
    testing::every_backend_async(async || {
        let world = World::new();
        world.receive(1, Silence::Rejet(TWO_MONTHS), date(2026, 11, 20), "mairie@saint-mulot.example").await;
        let day = date(2026, 11, 21);
        let early = at(day, 6).timestamp();
        assert!(!step(&world.store, &world.digest, early).await.unwrap(), "not before seven");
        let bulletin = world.look(day).expect("something to look at");
        assert_eq!(bulletin.mails.len(), 1);
        assert_eq!(bulletin.mails[0].1.message_id, world.look(day).unwrap().mails[0].1.message_id);
        assert!(world.morning(day).await);
        assert!(!world.morning(day).await, "once a day");
        assert!(!world.morning(date(2026, 11, 22)).await, "only when there is something");
        assert!(!world.morning(date(2026, 11, 22)).await);
        // Two processes that looked together: the second writes nothing.
        assert!(!world.store.bulletin(bulletin, at(day, 7).timestamp()).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn each_mailbox_reads_of_its_own_requests() {
    testing::every_backend_async(async || {
        let world = World::new();
        let day = date(2026, 11, 20);
        let hall = world.receive(1, Silence::Rejet(TWO_MONTHS), day, "salle@saint-mulot.example").await;
        let school = world.receive(2, Silence::Inconnu, day, "ecole@saint-mulot.example").await;
        let bulletin = world.look(date(2026, 11, 21)).unwrap();
        assert_eq!(bulletin.mails.len(), 2);
        for (_, mail) in &bulletin.mails {
            let (mine, other) =
                if mail.to == ["salle@saint-mulot.example"] { (&hall, &school) } else { (&school, &hall) };
            assert!(mail.text.contains(mine.as_str()) && !mail.text.contains(other.as_str()), "{}", mail.text);
            assert!(mail.text.contains("https://www.saint-mulot.example/guichet/agir/"));
            assert!(!mail.text.contains("Jeanne"), "no name");
            assert!(mail.message_id.is_ascii() && mail.message_id.starts_with("bulletin.2026-11-21."));
        }
        assert_ne!(bulletin.mails[0].1.message_id, bulletin.mails[1].1.message_id);
    })
    .await;
}

/// The heading under which the one request of a world stands on a morning.
async fn heading(world: &World, day: Date) -> Option<String> {
    let bulletin = world.look(day).expect("a new morning");
    let text = bulletin.mails.first().map(|(_, mail)| mail.text.clone());
    assert!(world.store.bulletin(bulletin, at(day, 7).timestamp()).await.unwrap());
    let heading =
        |text: String| text.lines().find_map(|line| line.strip_prefix("--- ")?.strip_suffix(" ---").map(str::to_owned));
    text.and_then(heading)
}

#[tokio::test]
async fn the_digest_reads_well() {
    testing::every_backend_async(async || {
        let world = World::new();
        let mairie = "mairie@saint-mulot.example";
        world.receive(1, Silence::Rejet(TWO_MONTHS), date(2026, 11, 21), mairie).await;
        world.receive(2, Silence::Inconnu, date(2026, 12, 24), mairie).await;
        let reference = world.receive(3, Silence::Acceptation(TWO_MONTHS), date(2026, 12, 1), mairie).await;
        let kind = ActKind::Pieces { asked: vec!["un plan".into()], until: date(2027, 1, 6), accuse: false };
        world.act(&reference, 0, date(2026, 12, 2), kind).await;
        world.receive(4, Silence::Inconnu, date(2027, 1, 6), mairie).await;
        world.morning(date(2027, 1, 6)).await;
        let bulletin = world.look(date(2027, 1, 7)).unwrap();
        let mail = &bulletin.mails[0].1;
        let text = format!("Objet : {}\n\n{}", mail.subject, mail.text);
        if let Some(folder) = std::env::var_os("MULOT_GOLDEN") {
            std::fs::write(std::path::Path::new(&folder).join("bulletin.txt"), &text).unwrap();
            return;
        }
        assert_eq!(text, include_str!("../../../tests/receipts/bulletin.txt"), "run with MULOT_GOLDEN=tests/receipts");
    })
    .await;
}

#[tokio::test]
async fn a_decision_by_silence_is_announced_twice_then_told_once() {
    testing::every_backend_async(async || {
        for silence in [Silence::Rejet(TWO_MONTHS), Silence::Acceptation(TWO_MONTHS)] {
            testing::renew();
            let world = World::new();
            // Decided on 22 January 2027.
            world.receive(1, silence, date(2026, 11, 21), "mairie@saint-mulot.example").await;
            let mut told = Vec::new();
            let mut day = date(2026, 11, 22);
            while day < date(2027, 3, 1) {
                told.extend(heading(&world, day).await.map(|heading| (day, heading)));
                day = day.saturating_add(1.day());
            }
            let expected = [
                (date(2026, 11, 22), Section::Received),
                (date(2027, 1, 7), Section::Silence),
                (date(2027, 1, 19), Section::Silence),
                (date(2027, 1, 22), Section::Late),
            ];
            let expected = expected.map(|(day, section)| (day, section.title().to_owned()));
            let is_weekly = |(_, heading): &(Date, String)| heading == Section::Open.title();
            let (weekly, told): (Vec<_>, Vec<_>) = told.into_iter().partition(is_weekly);
            assert_eq!(told, expected);
            assert_eq!(weekly.len(), 8, "eight Mondays: {weekly:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_morning_without_server_loses_nothing() {
    testing::every_backend_async(async || {
        let world = World::new();
        world.receive(1, Silence::Rejet(TWO_MONTHS), date(2026, 11, 21), "mairie@saint-mulot.example").await;
        assert!(world.morning(date(2027, 1, 5)).await || world.look(date(2027, 1, 6)).is_some());
        // The reminders of 7 and 19 January were missed: the next morning tells them, once.
        assert_eq!(heading(&world, date(2027, 1, 21)).await.as_deref(), Some(Section::Silence.title()));
        assert_eq!(heading(&world, date(2027, 1, 22)).await.as_deref(), Some(Section::Late.title()));
    })
    .await;
}

#[tokio::test]
async fn a_late_receipt_is_told_the_next_day_then_on_mondays() {
    testing::every_backend_async(async || {
        let world = World::new();
        // Due on Friday 4 December 2026.
        let reference = world.receive(1, Silence::Inconnu, date(2026, 11, 21), "mairie@saint-mulot.example").await;
        let mut told = Vec::new();
        for days in 1..28 {
            let day = date(2026, 11, 22).saturating_add(days.days());
            told.extend(heading(&world, day).await.map(|heading| (day, heading)));
        }
        let late = |day| (day, Section::Late.title().to_owned());
        let soon = (date(2026, 12, 1), Section::Soon.title().to_owned());
        let open = |day| (day, Section::Open.title().to_owned());
        let before = [open(date(2026, 11, 23)), open(date(2026, 11, 30)), soon];
        assert_eq!(told[..3], before);
        assert_eq!(told[3..], [late(date(2026, 12, 5)), late(date(2026, 12, 7)), late(date(2026, 12, 14))]);
        world.act(&reference, 0, date(2026, 12, 20), ActKind::Cloture).await;
        assert_eq!(heading(&world, date(2026, 12, 21)).await, None, "closed");
    })
    .await;
}

#[tokio::test]
async fn what_nobody_acts_on_is_told_again_on_mondays_for_eight_weeks() {
    testing::every_backend_async(async || {
        let world = World::new();
        let reference = world.receive(1, Silence::SansDecision, date(2026, 11, 25), "mairie@saint-mulot.example").await;
        let mut told = Vec::new();
        let mut day = date(2026, 11, 26);
        while day < date(2027, 3, 1) {
            told.extend(heading(&world, day).await.map(|heading| (day, heading)));
            day = day.saturating_add(1.day());
        }
        assert_eq!(told[0], (date(2026, 11, 26), Section::Received.title().to_owned()));
        assert!(
            told[1..].iter().all(|(day, heading)| heading == Section::Open.title() && day.weekday() == Weekday::Monday)
        );
        let days: Vec<Date> = told.iter().map(|(day, _)| *day).collect();
        assert_eq!((days[1], days[8], days.len()), (date(2026, 11, 30), date(2027, 1, 18), 9));
        world.act(&reference, 0, date(2027, 3, 2), ActKind::PriseEnCharge).await;
        assert_eq!(heading(&world, date(2027, 3, 8)).await.as_deref(), Some(Section::Open.title()), "and not done yet");
        world.act(&reference, 1, date(2027, 3, 9), ActKind::Cloture).await;
        assert_eq!(heading(&world, date(2027, 3, 15)).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_had_jumped_does_not_silence_the_mornings() {
    testing::every_backend_async(async || {
        let world = World::new();
        world.receive(1, Silence::Rejet(TWO_MONTHS), date(2026, 11, 20), "m@saint-mulot.example").await;
        // Decided on 21 January 2027.
        let ahead = date(2027, 1, 21);
        assert_eq!(heading(&world, ahead).await.as_deref(), Some(Section::Late.title()));
        assert_eq!(heading(&world, date(2026, 11, 21)).await.as_deref(), Some(Section::Received.title()));
        assert!(world.look(date(2026, 11, 21)).is_none(), "once a day all the same");
        assert_eq!(
            heading(&world, ahead).await.as_deref(),
            Some(Section::Late.title()),
            "that morning was still to come"
        );
    })
    .await;
}

#[tokio::test]
async fn a_damaged_request_leaves_the_others_in_the_digest_which_says_so() {
    testing::every_backend_async(async || {
        let world = World::new();
        let (day, mairie) = (date(2026, 11, 20), "mairie@saint-mulot.example");
        let damaged = world.receive(1, Silence::Rejet(TWO_MONTHS), day, mairie).await;
        let sound = world.receive(2, Silence::Rejet(TWO_MONTHS), day, mairie).await;
        if testing::is_on_server() {
            // The file itself is what is damaged here.
            return;
        }
        let database = rusqlite::Connection::open(world._dir.path().join("guichet.db")).unwrap();
        let sql = "UPDATE mail SET mail = x'00010203' WHERE message_id LIKE ?1";
        assert!(database.execute(sql, [format!("{damaged}.%")]).unwrap() > 0);
        let bulletin = world.look(date(2026, 11, 21)).unwrap();
        let text = &bulletin.mails[0].1.text;
        assert!(text.contains(sound.as_str()) && !text.contains(damaged.as_str()), "{text}");
        assert!(text.contains("1 demande gardée ne peut pas être relue"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_held_request_leads_to_its_quarantine_and_one_put_aside_is_told_no_more() {
    testing::every_backend_async(async || {
        let world = World::new();
        let day = date(2026, 11, 20);
        let until = at(date(2026, 11, 22), 10).timestamp();
        let hold =
            Hold { quarantine: Some((Suspicion { points: 3, reasons: vec!["liens"] }, until)), ..Hold::default() };
        let request = (1, Silence::Inconnu);
        let reference = world.receive_as(request, day, "mairie@saint-mulot.example", hold).await;
        let bulletin = world.look(date(2026, 11, 21)).unwrap();
        let text = &bulletin.mails[0].1.text;
        assert!(text.contains("En quarantaine") && text.contains("/guichet/quarantaine/"), "{text}");
        assert!(text.contains("22 novembre 2026") && !text.contains("/guichet/agir/"), "{text}");
        let (store, now) = (world.store.clone(), at(date(2026, 11, 21), 8).timestamp());
        assert!(tokio::task::spawn_blocking(move || store.set_aside(&reference, now)).await.unwrap().unwrap());
        assert_eq!(world.look(date(2026, 11, 21)).unwrap().mails.len(), 0);
        assert_eq!(world.look(date(2026, 11, 23)).unwrap().mails.len(), 0, "a Monday");
    })
    .await;
}

#[tokio::test]
async fn what_silence_does_is_asked_for_until_it_is_said() {
    testing::every_backend_async(async || {
        let world = World::new();
        let reference = world.receive(1, Silence::Inconnu, date(2026, 11, 21), "mairie@saint-mulot.example").await;
        let asked = ActKind::Pieces { asked: vec!["un plan".into()], until: date(2026, 12, 25), accuse: true };
        world.act(&reference, 0, date(2026, 11, 23), asked).await;
        let came = ActKind::Complement { text: "Voici".into(), files: Vec::new() };
        world.act(&reference, 1, date(2026, 11, 24), came).await;
        world.act(&reference, 2, date(2026, 11, 25), ActKind::Complet { since: date(2026, 11, 24) }).await;
        let text = world.look(date(2026, 11, 26)).unwrap().mails[0].1.text.clone();
        assert!(text.contains("Dire ce que vaut le silence"), "{text}");
        assert_eq!(heading(&world, date(2026, 11, 26)).await.as_deref(), Some(Section::Late.title()));
        assert_eq!(heading(&world, date(2026, 11, 27)).await, None);
        assert_eq!(heading(&world, date(2026, 11, 30)).await.as_deref(), Some(Section::Late.title()), "on Mondays");
    })
    .await;
}

#[tokio::test]
async fn what_waits_for_the_resident_is_late_when_its_date_is_over() {
    testing::every_backend_async(async || {
        let world = World::new();
        let reference =
            world.receive(1, Silence::Acceptation(TWO_MONTHS), date(2026, 11, 21), "m@saint-mulot.example").await;
        let kind = ActKind::Pieces { asked: vec!["un plan".into()], until: date(2027, 1, 12), accuse: false };
        world.act(&reference, 0, date(2026, 12, 1), kind).await;
        assert_eq!(heading(&world, date(2027, 1, 7)).await, None, "the delay is stopped: no reminder");
        assert_eq!(heading(&world, date(2027, 1, 13)).await.as_deref(), Some(Section::Late.title()));
    })
    .await;
}

#[tokio::test]
async fn a_mail_refused_for_good_is_told() {
    testing::every_backend_async(async || {
        let world = World::new();
        world.receive(1, Silence::SansDecision, date(2026, 11, 21), "mairie@saint-mulot.example").await;
        let letters = Letterbox::default();
        let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap();
        let files = FileStore::open(world._dir.path(), world.store.seal(), 0).unwrap();
        letters.plan(Outcome::Delivered { code: 250 });
        letters.plan(Outcome::Permanent(Refusal { phase: Phase::Recipient, code: Some(550), class: None }));
        let now = at(date(2026, 11, 21), 11).timestamp();
        for _ in 0..2 {
            deliver::step(&world.store, &mailer, &files, now).await.unwrap();
        }
        let bulletin = world.look(date(2026, 11, 22)).unwrap();
        let text = &bulletin.mails[0].1.text;
        assert!(text.contains("n’ont pas pu être remis") && text.contains("appelez-le"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn the_digest_does_not_count_as_the_request_delivered() {
    testing::every_backend_async(async || {
        let world = World::new();
        let day = date(2026, 11, 21);
        let reference = world.receive(1, Silence::Rejet(TWO_MONTHS), day, "mairie@saint-mulot.example").await;
        assert!(world.morning(date(2026, 11, 22)).await);
        let letters = Letterbox::default();
        let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap();
        let files = FileStore::open(world._dir.path(), world.store.seal(), 0).unwrap();
        let refused = || Outcome::Permanent(Refusal { phase: Phase::Recipient, code: Some(550), class: None });
        letters.plan(refused());
        let now = at(date(2026, 11, 22), 9).timestamp();
        for _ in 0..4 {
            deliver::step(&world.store, &mailer, &files, now).await.unwrap();
        }
        assert_eq!(letters.taken().len(), 2, "the digest and the receipt");
        let sums = world.store.reconcile(Timestamp::MIN, Timestamp::MAX).unwrap();
        assert_eq!((sums.delivered, sums.failed), (0, vec![reference.clone()]));
        let purged = world.store.purge_elapsed(&at(date(2031, 1, 1), 9)).unwrap();
        assert_eq!(purged.held, [reference], "it exists nowhere else");
    })
    .await;
}

/// The names and the rows of the files of each mail, by recipient.
fn sheets_of(bulletin: &NewBulletin) -> Vec<(String, Vec<(String, usize)>)> {
    let rows = |sheet: &Sheet| (sheet.name.clone(), sheet.text.lines().count() - 1);
    bulletin.mails.iter().map(|(_, mail)| (mail.to[0].clone(), mail.sheets.iter().map(rows).collect())).collect()
}

#[tokio::test]
async fn a_form_that_asks_for_it_has_the_requests_of_the_day_before_in_a_file() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        let day = date(2026, 11, 25);
        assert!(!world.morning(day).await);
        for (number, to) in [(1, "nord@x.fr"), (2, "nord@x.fr"), (3, "sud@x.fr")] {
            world.receive(number, Silence::SansDecision, day, to).await;
        }
        let next = date(2026, 11, 26);
        assert!(sheets_of(&world.look(next).unwrap()).iter().all(|(_, sheets)| sheets.is_empty()), "none is asked for");
        world.digest.daily = [form(Nature::Demande, Identity::Person, Silence::SansDecision).id].into();
        let bulletin = world.look(next).unwrap();
        let name = format!("{}-2026-11-25.csv", world.digest.daily.first().unwrap());
        assert_eq!(
            sheets_of(&bulletin),
            [("nord@x.fr".to_owned(), vec![(name.clone(), 2)]), ("sud@x.fr".to_owned(), vec![(name.clone(), 1)])],
            "each mailbox has its own"
        );
        let mail = &bulletin.mails[0].1;
        assert!(mail.text.contains(&name) && mail.sheets[0].text.contains("Jeanne Martin"), "{}", mail.text);
        assert!(!mail.text.contains("Jeanne Martin"), "the words of the digest hold no name");
        assert!(world.morning(next).await);
        assert_eq!(world.look(date(2026, 11, 27)).map_or(0, |bulletin| bulletin.mails.len()), 0, "once");
    })
    .await;
}

#[tokio::test]
async fn a_file_goes_even_when_there_is_nothing_else_to_tell_and_is_erased_once_it_has_left() {
    testing::every_backend_async(async || {
        let mut world = World::new();
        let day = date(2026, 11, 25);
        world.digest.daily = [form(Nature::Demande, Identity::Person, Silence::SansDecision).id].into();
        assert!(!world.morning(day).await);
        let reference = world.receive(1, Silence::SansDecision, day, "mairie@x.fr").await;
        world.act(&reference, 0, day, ActKind::Cloture).await;
        let next = date(2026, 11, 26);
        let bulletin = world.look(next).unwrap();
        assert_eq!(bulletin.mails.len(), 1);
        assert!(bulletin.mails[0].1.subject.ends_with("1 fichier"), "{}", bulletin.mails[0].1.subject);
        assert!(world.morning(next).await);
        let letters = Letterbox::default();
        let mailer = Mailer::new(Transport::Memory(letters.clone())).unwrap();
        let files = FileStore::open(world._dir.path(), world.store.seal(), 0).unwrap();
        while deliver::step(&world.store, &mailer, &files, at(next, 8).timestamp()).await.unwrap()
            == deliver::Step::Sent
        {}
        let taken = letters.taken();
        let bulletin =
            taken.iter().find(|parcel| String::from_utf8_lossy(&parcel.bytes).contains("text/csv")).expect("a file");
        assert_eq!(bulletin.to, "mairie@x.fr");
        if testing::is_on_server() {
            // The file itself is what is damaged here.
            return;
        }
        let database = rusqlite::Connection::open(world._dir.path().join("guichet.db")).unwrap();
        let kept: i64 = database
            .query_row("SELECT count(*) FROM mail WHERE kind = 'bulletin' AND mail IS NOT NULL", [], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, 0);
        assert!(world.store.damaged().unwrap().is_empty());
    })
    .await;
}
