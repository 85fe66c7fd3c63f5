//! Takes what a resident confirmed, keeps it for sure, and brings it to the mairie; never speaks HTTP nor phrases anything
//! for people but mails.
//!
//! 1. [`token`] proves that the check page was shown, and carries the single-use nonce.
//! 2. [`files`] streams uploads to disk and moves accepted ones to their final, synced place.
//! 3. [`validate`] and [`compose`] turn what came into answers, a receipt and mails; [`suspicion`] counts the signs of a machine.
//!    [`progress`] puts a form aside in a file that the resident keeps.
//! 4. [`accept`] chains all of it when a resident presses « Envoyer ».
//! 5. [`seal`] closes what the person wrote before it reaches the disk.
//! 6. [`store`] records submission, answers, files and mails in one transaction; many share one sync.
//! 7. [`follow`] writes what the mairie and the resident do afterwards; [`digest`] tells the mairie of the day.
//! 8. [`confirm`] asks each mailbox of the mairie for a code before anything is sent to it; [`notice`] tells it what waits.
//! 9. [`deliver`] claims a mail under a lease, hands it to the [`mailer`], settles; [`bounces`] hears what came back.

pub mod accept;
pub mod backup;
pub mod bounces;
pub mod compose;
pub mod confirm;
pub mod deliver;
pub mod digest;
pub mod files;
pub mod follow;
pub mod links;
pub mod mailer;
pub mod notice;
mod pieces;
pub mod progress;
pub mod reference;
pub mod retry;
pub mod seal;
pub mod sheet;
pub mod specimen;
pub mod store;
pub mod suspicion;
pub mod token;
pub mod validate;

#[cfg(test)]
pub(crate) mod sample;
