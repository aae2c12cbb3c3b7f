//! Why a request was refused, in words: the rule, what to do, and what probably happened. For the API and the pages.

use trousseau_domain::decision::Reason;
use trousseau_service::requests::Hint;

use crate::language::Language;

/// One text in both languages.
struct Both(&'static str, &'static str);

impl Both {
    const fn of(&self, language: Language) -> &'static str {
        match language {
            Language::English => self.0,
            Language::French => self.1,
        }
    }
}

/// The rule that the request broke.
pub(crate) fn rule(reason: Reason, language: Language) -> &'static str {
    let both = match reason {
        Reason::AmbiguousCredentials => {
            Both("The request carried more than one key.", "La requête portait plus d’une clé.")
        }
        Reason::KeyInUrl => Both("A key stood in the URL.", "Une clé figurait dans l’URL."),
        Reason::CredentialMissing => Both("The request carried no key.", "La requête ne portait aucune clé."),
        Reason::SchemeUnsupported => Both(
            "The Authorization header used a scheme that is not taken here.",
            "L’en-tête Authorization utilisait un schéma qui n’est pas accepté ici.",
        ),
        Reason::CredentialMalformed => {
            Both("The header with the key could not be read.", "L’en-tête qui porte la clé n’a pas pu être lu.")
        }
        Reason::KeyMalformed => Both(
            "The text begins like a key, but its form or its checksum is wrong.",
            "Le texte commence comme une clé, mais sa forme ou sa somme de contrôle est fausse.",
        ),
        Reason::BusinessIdMissing => Both(
            "The business id must stand beside the key, and was missing.",
            "L’identifiant d’entreprise doit accompagner la clé, et manquait.",
        ),
        Reason::KeyUnknown => Both("No key has this value.", "Aucune clé n’a cette valeur."),
        Reason::BusinessMismatch => Both(
            "The business id in the request is not that of the key’s business, or was missing where the key needs it.",
            "L’identifiant d’entreprise de la requête n’est pas celui de l’entreprise de la clé, ou manquait alors que la clé en a besoin.",
        ),
        Reason::EnvironmentMismatch => {
            Both("The key belongs to the other environment.", "La clé appartient à l’autre environnement.")
        }
        Reason::KeyRevoked => Both("The key is revoked.", "La clé est révoquée."),
        Reason::KeyRotated => Both(
            "The value is one that the key had before it was rotated.",
            "La valeur est l’une de celles que la clé avait avant son renouvellement.",
        ),
        Reason::KeyInactive => Both("The key was switched off.", "La clé était désactivée."),
        Reason::KeyNotYetValid => {
            Both("The key’s start date was still to come.", "La date de début de la clé n’était pas atteinte.")
        }
        Reason::KeyExpired => Both("The key’s end date had passed.", "La date de fin de la clé était passée."),
        Reason::BusinessSuspended => Both("The business was suspended.", "L’entreprise était suspendue."),
        Reason::HttpsRequired => {
            Both("A LIVE key travelled over plain HTTP.", "Une clé LIVE a voyagé en HTTP, sans chiffrement.")
        }
        Reason::BrowserNotAllowed => {
            Both("A secret key was sent by a browser.", "Une clé secrète a été envoyée par un navigateur.")
        }
        Reason::KindNotAllowed => {
            Both("This kind of key may not do this.", "Ce type de clé n’a pas le droit de faire cela.")
        }
        Reason::IpNotAllowed => Both(
            "The caller’s address is in none of the key’s allowed IP ranges.",
            "L’adresse de l’appelant n’est dans aucune des plages IP autorisées de la clé.",
        ),
        Reason::OriginNotAllowed => Both(
            "The page’s origin is not among the key’s allowed origins.",
            "L’origine de la page n’est pas parmi les origines autorisées de la clé.",
        ),
        Reason::ScopeMissing => Both("The key lacks a permission.", "Il manque une autorisation à la clé."),
        Reason::RateLimited => Both("Too many requests in a short time.", "Trop de requêtes en peu de temps."),
        Reason::QuotaExhausted => Both("The quota was used up.", "Le quota était épuisé."),
    };
    both.of(language)
}

/// What to do about it.
pub(crate) fn fix(reason: Reason, language: Language) -> &'static str {
    let both = match reason {
        Reason::AmbiguousCredentials => {
            Both("Send the key in one header only.", "Envoyez la clé dans un seul en-tête.")
        }
        Reason::KeyInUrl => Both(
            "Send the key in a header, and rotate it: URLs end up in logs.",
            "Envoyez la clé dans un en-tête, et renouvelez-la\u{a0}: les URL finissent dans des journaux.",
        ),
        Reason::CredentialMissing => Both(
            "Send the key as Authorization: Bearer, or with the ready-made header of its page.",
            "Envoyez la clé avec Authorization: Bearer, ou avec l’en-tête tout prêt de sa page.",
        ),
        Reason::SchemeUnsupported => Both("Use Basic or Bearer.", "Utilisez Basic ou Bearer."),
        Reason::CredentialMalformed => Both(
            "Copy the ready-made Authorization header of the key, whole and without a line break.",
            "Copiez l’en-tête Authorization tout prêt de la clé, en entier et sans saut de ligne.",
        ),
        Reason::KeyMalformed => Both(
            "Copy the value again: a character is missing, changed or added.",
            "Copiez de nouveau la valeur\u{a0}: un caractère manque, a changé ou est en trop.",
        ),
        Reason::BusinessIdMissing => Both(
            "Send the header businessid, or Basic with the business id before the colon.",
            "Envoyez l’en-tête businessid, ou Basic avec l’identifiant d’entreprise avant le deux-points.",
        ),
        Reason::KeyUnknown => Both(
            "Compare the last three characters with those of your keys, and install the value of one that is in force.",
            "Comparez les trois derniers caractères avec ceux de vos clés, et installez la valeur d’une clé en vigueur.",
        ),
        Reason::BusinessMismatch => Both(
            "Send the business id that stands beside the key, or leave it out where none is needed.",
            "Envoyez l’identifiant d’entreprise affiché à côté de la clé, ou omettez-le là où il n’est pas demandé.",
        ),
        Reason::EnvironmentMismatch => Both(
            "Use a key of the environment that the call is for.",
            "Utilisez une clé de l’environnement auquel l’appel est destiné.",
        ),
        Reason::KeyRevoked => Both(
            "A revoked key stays revoked. Create another one and install it where this one was used.",
            "Une clé révoquée le reste. Créez-en une autre et installez-la là où celle-ci était utilisée.",
        ),
        Reason::KeyRotated => Both(
            "Install the key’s new value where the old one is still used.",
            "Installez la nouvelle valeur de la clé là où l’ancienne est encore utilisée.",
        ),
        Reason::KeyInactive => Both("Switch the key on.", "Activez la clé."),
        Reason::KeyNotYetValid => {
            Both("Wait for the start date, or move it.", "Attendez la date de début, ou avancez-la.")
        }
        Reason::KeyExpired => {
            Both("Move the end date, or use another key.", "Repoussez la date de fin, ou utilisez une autre clé.")
        }
        Reason::BusinessSuspended => Both(
            "Ask the platform why the business is suspended.",
            "Demandez à la plateforme pourquoi l’entreprise est suspendue.",
        ),
        Reason::HttpsRequired => Both(
            "Call the HTTPS address, and rotate the key: it travelled in the clear.",
            "Appelez l’adresse HTTPS, et renouvelez la clé\u{a0}: elle a voyagé en clair.",
        ),
        Reason::BrowserNotAllowed => Both(
            "Rotate the key: a page holds it. Call from a server, or use a Checkout key in the page.",
            "Renouvelez la clé\u{a0}: une page la contient. Appelez depuis un serveur, ou utilisez une clé Checkout dans la page.",
        ),
        Reason::KindNotAllowed => Both(
            "Use a secret key from a server; a Checkout key only starts payments and reads their status.",
            "Utilisez une clé secrète depuis un serveur\u{a0}; une clé Checkout ne fait que lancer des paiements et lire leur état.",
        ),
        Reason::IpNotAllowed => Both(
            "Add the address to the key’s IP ranges if it is yours; rotate the key if it is not.",
            "Ajoutez l’adresse aux plages IP de la clé si elle est à vous\u{a0}; sinon, renouvelez la clé.",
        ),
        Reason::OriginNotAllowed => {
            Both("Add the origin to the key if the page is yours.", "Ajoutez l’origine à la clé si la page est à vous.")
        }
        Reason::ScopeMissing => Both(
            "Add the permission to the key, or use a key that has it.",
            "Ajoutez l’autorisation à la clé, ou utilisez une clé qui l’a.",
        ),
        Reason::RateLimited => Both(
            "Wait as long as Retry-After says, and send fewer requests at a time.",
            "Attendez le temps indiqué par Retry-After, et envoyez moins de requêtes à la fois.",
        ),
        Reason::QuotaExhausted => Both(
            "Wait for the next day or month, or ask for a higher quota.",
            "Attendez le jour ou le mois suivant, ou demandez un quota plus élevé.",
        ),
    };
    both.of(language)
}

/// What probably happened. `when` writes an instant as the reader wants it.
pub(crate) fn hint(
    hint: &Hint,
    language: Language,
    when: impl Fn(trousseau_domain::time::Timestamp) -> String,
) -> String {
    let french = language == Language::French;
    match hint {
        Hint::TestKeyOnLive if french => "C’est une clé TEST là où il faut une clé LIVE.".to_owned(),
        Hint::TestKeyOnLive => "This is a TEST key where a LIVE one is needed.".to_owned(),
        Hint::LiveKeyOnTest if french => "C’est une clé LIVE là où il faut une clé TEST.".to_owned(),
        Hint::LiveKeyOnTest => "This is a LIVE key where a TEST one is needed.".to_owned(),
        Hint::IdOfAnotherBusiness if french => {
            "La clé est à vous, mais l’identifiant envoyé est celui d’une autre entreprise, ou manque.".to_owned()
        }
        Hint::IdOfAnotherBusiness => {
            "The key is yours, but the id that was sent is that of another business, or none was.".to_owned()
        }
        Hint::OldValue { rotated_at } if french => {
            format!(
                "La clé a été renouvelée le {}\u{a0}; l’appelant utilise encore l’ancienne valeur.",
                when(*rotated_at)
            )
        }
        Hint::OldValue { rotated_at } => {
            format!("The key was rotated at {}; the caller still uses the old value.", when(*rotated_at))
        }
        Hint::RevokedAt(at) if french => format!("Elle a été révoquée le {}.", when(*at)),
        Hint::RevokedAt(at) => format!("It was revoked at {}.", when(*at)),
        Hint::EndedAt(at) if french => format!("Elle s’est terminée le {}.", when(*at)),
        Hint::EndedAt(at) => format!("It ended at {}.", when(*at)),
        Hint::BeginsAt(at) if french => format!("Elle commence le {}.", when(*at)),
        Hint::BeginsAt(at) => format!("It begins at {}.", when(*at)),
        Hint::EndsLikeKey { number } if french => {
            format!(
                "La valeur se termine comme celle de la clé n°\u{a0}{number}\u{a0}: elle a peut-être été mal copiée."
            )
        }
        Hint::EndsLikeKey { number } => {
            format!("The value ends like that of key number {number}: perhaps it was copied wrongly.")
        }
        Hint::CameFrom(address) if french => format!("L’appel venait de {address}."),
        Hint::CameFrom(address) => format!("The call came from {address}."),
        Hint::CameFromPage(origin) if french => format!("L’appel venait d’une page de {origin}."),
        Hint::CameFromPage(origin) => format!("The call came from a page of {origin}."),
        Hint::LacksScope(scope) if french => format!("Il manque l’autorisation {scope}."),
        Hint::LacksScope(scope) => format!("The permission {scope} is missing."),
        Hint::GoodNow if french => {
            "Ce qui faisait obstacle n’est plus là\u{a0}: la clé est maintenant en vigueur.".to_owned()
        }
        Hint::GoodNow => "What stood in the way is gone: the key is in force now.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_words_of_its_own_in_both_languages() {
        let known = "no reason".parse::<Reason>().expect_err("no reason").known;
        let mut seen = HashSet::new();
        for reason in known.split_whitespace().map(|word| word.parse::<Reason>().expect("a reason")) {
            for language in [Language::English, Language::French] {
                assert!(seen.insert(rule(reason, language)), "{reason}");
                assert!(seen.insert(fix(reason, language)), "{reason}");
            }
        }
        assert_eq!(seen.len(), 24 * 4);
        // French sets a no-break space before what is spelt with one.
        for text in seen.iter().filter(|text| text.contains(['é', 'è', '’'])) {
            for mark in [" :", " ;", " !", " ?"] {
                assert!(!text.contains(mark), "{text}");
            }
        }
    }
}
