//! Why a file is not taken because of what it holds. The server has the sentences.

use super::content::Content;

/// What is wrong with a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwanted {
    /// Not a format the question takes.
    Format(Content),
    /// An office document with macros.
    Macros,
    /// It swells beyond measure once opened, or two of its parts are one.
    Bomb,
    /// An archive inside an office document.
    Nested,
    /// A program or an object of another program inside.
    Embedded,
    /// Locked by a password: nobody can look into it.
    Locked,
    /// An office document that cannot be read.
    BrokenDocument,
    /// A PDF that starts a program.
    Launch,
    /// Two files in one.
    Twofold,
    /// A picture that cannot be read, or ends too early.
    BrokenPicture,
    /// More pixels than any camera of a telephone.
    TooManyPixels,
    /// Found by the antivirus, or the file that tests them.
    Virus,
}

impl Unwanted {
    /// The word of the log and of the measures.
    pub fn as_str(self) -> &'static str {
        match self {
            Unwanted::Format(content) => content.as_str(),
            Unwanted::Macros => "macros",
            Unwanted::Bomb => "bomb",
            Unwanted::Nested => "nested",
            Unwanted::Embedded => "embedded",
            Unwanted::Locked => "locked",
            Unwanted::BrokenDocument => "broken_document",
            Unwanted::Launch => "launch",
            Unwanted::Twofold => "twofold",
            Unwanted::BrokenPicture => "broken_picture",
            Unwanted::TooManyPixels => "too_many_pixels",
            Unwanted::Virus => "virus",
        }
    }
}
