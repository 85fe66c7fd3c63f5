//! Reads an electronic address, and guesses the slips of the finger.

use super::clean::visible;

/// Characters of an e-mail address at most (RFC 5321, path limit).
const MAX_EMAIL: usize = 254;

/// An address that any mail server understands: dot-atom, at most 254 characters, a domain with a dot.
///
/// Source: RFC 5321 and 5322, without quoted local parts, literals nor non-ASCII addresses. The domain comes back in lower
/// case.
pub fn email(typed: &str) -> Result<String, String> {
    const EXAMPLE: &str = "Exemple : nom@exemple.fr";
    let typed = visible(typed);
    if typed.chars().any(char::is_whitespace) {
        return Err(format!("Écrivez l'adresse électronique sans espace. {EXAMPLE}"));
    }
    if !typed.is_ascii() {
        return Err(format!("Écrivez l'adresse électronique sans accent. {EXAMPLE}"));
    }
    let Some((local, domain)) = typed.rsplit_once('@') else {
        return Err(format!("Ajoutez le signe @ et ce qui le suit dans l'adresse électronique. {EXAMPLE}"));
    };
    let domain = domain.to_ascii_lowercase();
    let dotted = domain.replace(',', ".");
    let right = known_slip(&dotted).map(str::to_owned).or_else(|| (dotted != domain).then_some(dotted));
    let local_good = is_local_part(local);
    if let Some(right) = right.filter(|right| local_good && is_domain(right)) {
        return Err(format!("Vérifiez la fin de l'adresse électronique : est-ce {local}@{right} ?"));
    }
    if !local_good || !is_domain(&domain) || typed.len() > MAX_EMAIL {
        return Err(format!("Vérifiez l'adresse électronique. {EXAMPLE}"));
    }
    Ok(format!("{local}@{domain}"))
}

fn is_local_part(local: &str) -> bool {
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
    local.len() <= 64 && local.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top = domain.rsplit('.').next().unwrap_or("");
    let top_good = top.len() >= 2 && (top.bytes().all(|byte| byte.is_ascii_alphabetic()) || top.starts_with("xn--"));
    domain.contains('.') && top_good && domain.split('.').all(label)
}

/// The domain that was meant, for slips that no one's real address ends with.
///
/// Near misses that do exist (`ymail.com`, `laposte.fr`) are left alone: no one must be locked out.
fn known_slip(domain: &str) -> Option<&'static str> {
    Some(match domain {
        "gmial.com" | "gmai.com" | "gmal.com" | "gamil.com" | "gmaill.com" | "gmail.con" | "gmail.co" | "gmail.cm"
        | "gmail.comm" | "gmail.om" | "gmail.fr" | "gnail.com" | "gmail" => "gmail.com",
        "hotmial.com" | "hotmal.com" | "hotmai.com" | "hotmail.con" | "hotmail.co" | "homail.com" | "hotmail.comm" => {
            "hotmail.com"
        }
        "hotmial.fr" | "hotmal.fr" | "hotmai.fr" | "homail.fr" | "hotmail.ff" | "hotmail" => "hotmail.fr",
        "oragne.fr" | "ornage.fr" | "orange.ff" | "orange.frr" | "ornge.fr" | "orang.fr" | "orange" => "orange.fr",
        "wanadou.fr" | "wanado.fr" | "wandoo.fr" | "wanadoo.ff" | "wanadoo.frr" | "wanadoo" => "wanadoo.fr",
        "yaho.fr" | "yahou.fr" | "yahoo.ff" | "yahoo.frr" => "yahoo.fr",
        "yaho.com" | "yahoo.con" | "yahoo.comm" => "yahoo.com",
        "laposte.ne" | "laposte.nett" | "lapost.net" | "lapsote.net" | "laposte" => "laposte.net",
        "outlok.fr" | "outloook.fr" | "outlook.ff" => "outlook.fr",
        "outlok.com" | "outloook.com" | "outlook.con" => "outlook.com",
        "icloud.con" | "iclould.com" | "iclod.com" => "icloud.com",
        "free.ff" | "free.frr" | "freee.fr" => "free.fr",
        "sfr.ff" | "sfr.frr" => "sfr.fr",
        _ => return None,
    })
}
