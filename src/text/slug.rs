//! Gives words the shape they have in an address.

/// The last piece of an address made from words: `Été à L'Épine` → `ete-a-l-epine`.
///
/// Shape: lower-case ASCII letters, digits and single hyphens, never empty (`page` when nothing is left), neither first nor
/// last a hyphen. The slug of a slug is itself.
pub fn slug(words: &str) -> String {
    // « n° 5 » is « numéro 5 », not « ndeg 5 ».
    let slug = ::slug::slugify(words.replace(['°', 'º'], " "));
    if slug.is_empty() { "page".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::slug;

    #[test]
    fn words_become_an_address() {
        for (words, expected) in [
            ("Été à L'Épine", "ete-a-l-epine"),
            ("L’Œuvre du Cœur", "l-oeuvre-du-coeur"),
            ("  Salle 2 !  ", "salle-2"),
            ("Saint-Étienne-de-Tinée", "saint-etienne-de-tinee"),
            ("Arrêté n° 12", "arrete-n-12"),
            ("« »", "page"),
            ("", "page"),
        ] {
            assert_eq!(slug(words), expected, "{words}");
        }
    }

    proptest! {
        #[test]
        fn a_slug_is_safe_and_stable(words in ".*") {
            let made = slug(&words);
            prop_assert!(!made.is_empty());
            prop_assert!(made.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
            prop_assert!(!made.starts_with('-') && !made.ends_with('-') && !made.contains("--"));
            prop_assert_eq!(slug(&made), made);
        }
    }
}
