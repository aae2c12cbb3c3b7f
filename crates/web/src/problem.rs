//! Everything that can go wrong, as one list; the only place where an error becomes HTTP.
//!
//! A [`Failure`] speaks no dialect. It travels in the extensions of a response, and the outermost layer writes it in
//! the shape that the route's clients expect (see [`crate::dialect`]).

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use trousseau_domain::decision::Reason;
use trousseau_service::people::PeopleError;
use trousseau_service::{BeyondOwnRights, ServiceError};

use crate::language::Language;
use crate::wire::limits::seconds;

/// One kind of failure: what it is called, what status it has, what it says.
macro_rules! kinds {
    ($($(#[$meta:meta])* $variant:ident = $status:ident $code:literal {
        en: $title_en:literal, $detail_en:literal;
        fr: $title_fr:literal, $detail_fr:literal;
    })+) => {
        /// A kind of failure. Its code and its page are stable: clients depend on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$meta])* $variant),+ }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The status in our own dialect.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            /// The stable code, in `snake_case`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// What went wrong, in a few words.
            pub const fn title(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$variant, Language::English) => $title_en,
                      (Self::$variant, Language::French) => $title_fr,)+
                }
            }

            /// What to do about it, where the case itself says nothing finer.
            pub const fn advice(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$variant, Language::English) => $detail_en,
                      (Self::$variant, Language::French) => $detail_fr,)+
                }
            }
        }
    };
}

kinds! {
    // 400: the request cannot be read
    /// The body is no JSON text.
    InvalidJson = BAD_REQUEST "invalid_json" {
        en: "The body is not valid JSON", "Send one JSON text in UTF-8, without duplicate members, nested at most 64 deep.";
        fr: "Le corps n'est pas du JSON valide", "Envoyez un texte JSON en UTF-8, sans membre en double, avec 64 niveaux d'imbrication au plus.";
    }
    /// The body is JSON of another shape than asked for.
    InvalidBody = BAD_REQUEST "invalid_body" {
        en: "The body does not have the expected members", "See `errors` for the members concerned.";
        fr: "Le corps n'a pas les membres attendus", "Voir `errors` pour les membres concernés.";
    }
    /// A parameter of the query is unknown, repeated or unreadable.
    InvalidQuery = BAD_REQUEST "invalid_query" {
        en: "The query cannot be read", "See `errors` for the parameters concerned.";
        fr: "Les paramètres de l'URL sont illisibles", "Voir `errors` pour les paramètres concernés.";
    }
    /// The `Idempotency-Key` header has no usable value.
    InvalidIdempotencyKey = BAD_REQUEST "invalid_idempotency_key" {
        en: "The Idempotency-Key header cannot be used", "Send it once, with 1 to 255 printable ASCII characters.";
        fr: "L'en-tête Idempotency-Key est inutilisable", "Envoyez-le une seule fois, avec 1 à 255 caractères ASCII imprimables.";
    }
    /// More than one credential, even the same one twice.
    AmbiguousCredentials = BAD_REQUEST "ambiguous_credentials" {
        en: "More than one credential was sent", "Send exactly one credential, in one header.";
        fr: "Plusieurs identifiants ont été envoyés", "Envoyez un seul identifiant, dans un seul en-tête.";
    }
    /// A key in the path or in the query, where proxies and logs keep it.
    KeyInUrl = BAD_REQUEST "key_in_url" {
        en: "A key was sent in the URL", "URLs end up in logs and histories. If this was a real key, rotate it now, and send keys in a header only.";
        fr: "Une clé a été envoyée dans l'URL", "Les URL finissent dans les journaux et les historiques. S'il s'agissait d'une vraie clé, renouvelez-la maintenant et n'envoyez les clés que dans un en-tête.";
    }

    /// The end of the body is told in more than one way.
    AmbiguousLength = BAD_REQUEST "ambiguous_length" {
        en: "The length of the body is ambiguous", "Send either Content-Length, or Transfer-Encoding: chunked.";
        fr: "La longueur du corps est ambiguë", "Envoyez soit Content-Length, soit Transfer-Encoding: chunked.";
    }
    /// A gateway passed on a header that HTTP does not have.
    InvalidHeader = BAD_REQUEST "invalid_header" {
        en: "A header cannot be read", "Names of headers are tokens, and their values hold no control characters.";
        fr: "Un en-tête est illisible", "Les noms d'en-têtes sont des jetons, et leurs valeurs ne contiennent pas de caractères de contrôle.";
    }

    // 401: who calls is not proven
    /// No credential at all.
    CredentialMissing = UNAUTHORIZED "credential_missing" {
        en: "No key was sent", "Send an API key in one of the documented headers.";
        fr: "Aucune clé n'a été envoyée", "Envoyez une clé d'API dans l'un des en-têtes documentés.";
    }
    /// A credential that cannot be read, whoever would own it.
    CredentialMalformed = UNAUTHORIZED "credential_malformed" {
        en: "The credential cannot be read", "Check that the whole key was copied, and that the header has one of the documented forms.";
        fr: "L'identifiant est illisible", "Vérifiez que la clé a été copiée en entier et que l'en-tête a l'une des formes documentées.";
    }
    /// A text that begins like a key of this platform, with another form or a wrong checksum.
    KeyMalformed = UNAUTHORIZED "key_malformed" {
        en: "The key is not written as it was given out", "A character is missing or wrong. Copy the whole key again.";
        fr: "La clé n'est pas écrite comme elle a été remise", "Un caractère manque ou est faux. Copiez de nouveau la clé en entier.";
    }
    /// An `Authorization` scheme that is not taken here.
    SchemeUnsupported = UNAUTHORIZED "scheme_unsupported" {
        en: "This authorization scheme is not accepted here", "See the `WWW-Authenticate` header for the schemes that are.";
        fr: "Ce mode d'autorisation n'est pas accepté ici", "L'en-tête `WWW-Authenticate` indique ceux qui le sont.";
    }
    /// The key's profile asks for the business id beside the key.
    BusinessIdMissing = UNAUTHORIZED "business_id_missing" {
        en: "The business id is missing", "Send the id of the business beside the key: in the `businessid` header, or as the user of Basic.";
        fr: "L'identifiant de l'entreprise manque", "Envoyez l'identifiant de l'entreprise avec la clé : dans l'en-tête `businessid` ou comme utilisateur de Basic.";
    }
    /// Any other reason, which only the key's owner may learn.
    Unauthorized = UNAUTHORIZED "unauthorized" {
        en: "The key was not accepted", "The reason is kept for the key's owner under the request id.";
        fr: "La clé n'a pas été acceptée", "La raison est conservée pour le titulaire de la clé sous le numéro de requête.";
    }
    /// A person's proof is wrong; which part of it stays unsaid.
    SignInRefused = UNAUTHORIZED "sign_in_refused" {
        en: "This is not right", "Check the e-mail address and the password or code, or ask for a new password.";
        fr: "Ce n'est pas correct", "Vérifiez l'adresse e-mail et le mot de passe ou le code, ou demandez un nouveau mot de passe.";
    }

    // 403: who calls is proven, and may not
    /// A LIVE key over plain HTTP.
    HttpsRequired = FORBIDDEN "https_required" {
        en: "LIVE keys need HTTPS", "The key travelled unprotected. Call by HTTPS, and rotate the key if the network is not yours.";
        fr: "Les clés LIVE exigent HTTPS", "La clé a voyagé sans protection. Appelez en HTTPS et renouvelez la clé si le réseau n'est pas le vôtre.";
    }
    /// A secret key from a browser.
    BrowserNotAllowed = FORBIDDEN "browser_not_allowed" {
        en: "Secret keys must not be used in a browser", "Whoever opens the page can read this key. Rotate it, and use a checkout key in pages.";
        fr: "Une clé secrète ne s'utilise pas dans un navigateur", "Quiconque ouvre la page peut lire cette clé. Renouvelez-la et utilisez une clé API Checkout dans les pages.";
    }
    /// The kind of key is not made for this call.
    KindNotAllowed = FORBIDDEN "kind_not_allowed" {
        en: "This kind of key may not do this", "Use a key of the kind that this call is made for.";
        fr: "Ce type de clé ne permet pas cette opération", "Utilisez une clé du type prévu pour cet appel.";
    }
    /// The caller's address is in none of the key's ranges.
    IpNotAllowed = FORBIDDEN "ip_not_allowed" {
        en: "The key is not allowed from this address", "The key is bound to other IP ranges.";
        fr: "La clé n'est pas autorisée depuis cette adresse", "La clé est limitée à d'autres plages d'adresses IP.";
    }
    /// The page's origin is not among those of the key.
    OriginNotAllowed = FORBIDDEN "origin_not_allowed" {
        en: "The key is not allowed from this origin", "Add the origin of the page to the key's allowed origins.";
        fr: "La clé n'est pas autorisée depuis cette origine", "Ajoutez l'origine de la page aux origines autorisées de la clé.";
    }
    /// A person's last proof of who they are is too long ago for this.
    StepUpRequired = FORBIDDEN "step_up_required" {
        en: "This needs a fresh proof of who you are", "Confirm by your password, a code or a passkey, then try again.";
        fr: "Une nouvelle preuve de votre identité est nécessaire", "Confirmez par votre mot de passe, un code ou une clé d'accès, puis réessayez.";
    }
    /// The role of a person does not allow it.
    RoleMissing = FORBIDDEN "role_missing" {
        en: "Your role does not allow this", "Ask an administrator of the business.";
        fr: "Votre rôle ne le permet pas", "Adressez-vous à un administrateur de l'entreprise.";
    }
    /// An invitation for another person than the one who is signed in.
    OtherAccount = FORBIDDEN "other_account" {
        en: "This invitation is for another account", "Sign out, then open the link again.";
        fr: "Cette invitation est destinée à un autre compte", "Déconnectez-vous, puis ouvrez de nouveau le lien.";
    }
    /// The key lacks a scope.
    ScopeMissing = FORBIDDEN "scope_missing" {
        en: "The key lacks a scope", "Use a key with the scope named in `scope`.";
        fr: "Il manque une autorisation à la clé", "Utilisez une clé qui a l'autorisation indiquée dans `scope`.";
    }
    /// A key would make or widen a key beyond itself.
    BeyondOwnRights = FORBIDDEN "beyond_own_rights" {
        en: "A key cannot give more than it has", "Ask for scopes, an end, limits and addresses within those of the key that calls.";
        fr: "Une clé ne peut donner plus qu'elle n'a", "Demandez des autorisations, une fin, des limites et des adresses comprises dans celles de la clé appelante.";
    }
    /// What the business's profile rules out.
    NotAllowedByProfile = FORBIDDEN "not_allowed_by_profile" {
        en: "The profile of this business does not allow this", "The rules of the business's keys are fixed by its profile.";
        fr: "Le profil de cette entreprise ne le permet pas", "Les règles des clés de l'entreprise sont fixées par son profil.";
    }
    /// The value of this key is never shown again.
    ValueNotReadable = FORBIDDEN "value_not_readable" {
        en: "The value of this key cannot be read again", "It was shown once, when it was made. Rotate the key to get a new value.";
        fr: "La valeur de cette clé ne peut plus être lue", "Elle a été montrée une fois, à sa création. Renouvelez la clé pour obtenir une nouvelle valeur.";
    }

    /// A form that no page of ours sent in this session.
    CrossSite = FORBIDDEN "cross_site" {
        en: "The form does not come from a page of this site", "Open the page again and send the form from there.";
        fr: "Le formulaire ne vient pas d'une page de ce site", "Rouvrez la page et envoyez le formulaire à partir d'elle.";
    }

    // 404, 405, 410
    /// Not there, or not for this caller to see.
    NotFound = NOT_FOUND "not_found" {
        en: "There is nothing here", "Nothing with this address is visible to the caller.";
        fr: "Il n'y a rien ici", "Rien n'est visible pour l'appelant à cette adresse.";
    }
    /// The address exists, the method does not.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method_not_allowed" {
        en: "This method is not offered here", "The `Allow` header lists the methods that are.";
        fr: "Cette méthode n'est pas proposée ici", "L'en-tête `Allow` indique celles qui le sont.";
    }

    /// A one-time link that was used, or whose time is over.
    Gone = GONE "gone" {
        en: "This link cannot be used any more", "Ask for a new one.";
        fr: "Ce lien n'est plus utilisable", "Demandez-en un nouveau.";
    }

    // 409: a rule that the current state breaks
    /// As many keys as there may be.
    KeyLimitReached = CONFLICT "key_limit_reached" {
        en: "The business has as many keys as it may have", "Revoke a key first.";
        fr: "L'entreprise a autant de clés qu'elle peut en avoir", "Révoquez d'abord une clé.";
    }
    /// The last administrator of a business can be neither removed nor demoted.
    LastAdministrator = CONFLICT "last_administrator" {
        en: "This is the last administrator of the business", "Make somebody else an administrator first.";
        fr: "C'est le dernier administrateur de l'entreprise", "Nommez d'abord un autre administrateur.";
    }
    /// The person is a member already.
    AlreadyMember = CONFLICT "already_member" {
        en: "This person is a member already", "Change their role instead.";
        fr: "Cette personne est déjà membre", "Changez plutôt son rôle.";
    }
    /// The address has an account, whose owner signs in first.
    SignInFirst = CONFLICT "sign_in_first" {
        en: "This address has an account already", "Sign in, then open the link again.";
        fr: "Cette adresse a déjà un compte", "Connectez-vous, puis ouvrez de nouveau le lien.";
    }
    /// The only way to sign in cannot be taken away.
    LastWayIn = CONFLICT "last_way_in" {
        en: "This is the only way to sign in", "Add another one first.";
        fr: "C'est le seul moyen de se connecter", "Ajoutez d'abord un autre moyen.";
    }
    /// Passkeys need a name, and HTTPS or this machine.
    PasskeysNotOffered = CONFLICT "passkeys_not_offered" {
        en: "Passkeys are not offered at this address", "They need a host name, and HTTPS or localhost.";
        fr: "Les clés d'accès ne sont pas proposées à cette adresse", "Elles exigent un nom d'hôte, et HTTPS ou localhost.";
    }
    /// The last key in force of its kind and environment.
    LastKey = CONFLICT "last_key" {
        en: "This is the last key in force", "Make another key first, then end this one.";
        fr: "C'est la dernière clé en vigueur", "Créez d'abord une autre clé, puis mettez fin à celle-ci.";
    }
    /// The key is revoked, which is final.
    KeyRevoked = CONFLICT "key_revoked" {
        en: "The key is revoked", "Revoking is final. Make another key.";
        fr: "La clé est révoquée", "La révocation est définitive. Créez une autre clé.";
    }
    /// A rotation's overlap is still running.
    OverlapInProgress = CONFLICT "overlap_in_progress" {
        en: "An earlier value is still in use", "Wait for the end of the overlap, or rotate without one, which ends both earlier values.";
        fr: "Une valeur antérieure est encore en usage", "Attendez la fin du recouvrement, ou renouvelez sans recouvrement, ce qui met fin aux deux valeurs.";
    }
    /// As many webhook endpoints as there may be.
    EndpointLimitReached = CONFLICT "endpoint_limit_reached" {
        en: "The business has as many webhook endpoints as it may have", "Remove an endpoint first.";
        fr: "L'entreprise a autant de points de terminaison webhook qu'elle peut en avoir", "Supprimez d'abord un point de terminaison.";
    }
    /// Nothing is sent to the endpoint.
    EndpointDisabled = CONFLICT "endpoint_disabled" {
        en: "The webhook endpoint is disabled", "Enable it first: set its `state` to `enabled`.";
        fr: "Le point de terminaison webhook est désactivé", "Activez-le d'abord : mettez son `state` à `enabled`.";
    }
    /// Nothing changes while the business is suspended.
    BusinessSuspended = CONFLICT "business_suspended" {
        en: "The business is suspended", "Its keys can be read and not changed until it is resumed.";
        fr: "L'entreprise est suspendue", "Ses clés peuvent être lues mais pas modifiées jusqu'à sa reprise.";
    }
    /// It is switched off, paid, being paid, called off, or too many payments for it wait.
    NotPayable = CONFLICT "not_payable" {
        en: "This cannot be paid now", "Read it to see where it stands; ask for another one if you need to pay.";
        fr: "Ceci ne peut pas être payé maintenant", "Lisez-le pour connaître son état ; demandez-en un autre si vous devez payer.";
    }
    /// The payment has gone on: it is paid, under way or over.
    PaymentClosed = CONFLICT "payment_closed" {
        en: "The payment is past this", "Read the payment to see where it stands.";
        fr: "Le paiement n'en est plus là", "Lisez le paiement pour connaître son état.";
    }
    /// An invoice that is paid, void or deleted does not change and is not sent.
    InvoiceClosed = CONFLICT "invoice_closed" {
        en: "The invoice is paid, void or deleted", "Make another invoice.";
        fr: "La facture est payée, annulée ou supprimée", "Créez une autre facture.";
    }
    /// There is nobody to mail the invoice to.
    NoCustomerEmail = CONFLICT "no_customer_email" {
        en: "The invoice has no e-mail address of a customer", "Set its `customer_email` first.";
        fr: "La facture n'a pas d'adresse e-mail de client", "Renseignez d'abord son `customer_email`.";
    }
    /// A cancelled recurring payment does not go on.
    RecurringPaymentEnded = CONFLICT "recurring_payment_ended" {
        en: "The recurring payment is cancelled", "Cancelling is final. Make another recurring payment.";
        fr: "Le paiement récurrent est annulé", "L'annulation est définitive. Créez un autre paiement récurrent.";
    }
    /// One transaction pays one thing.
    TransactionTaken = CONFLICT "transaction_taken" {
        en: "This transaction was handed in for something else", "Hand in the transaction of this payment or refund.";
        fr: "Cette transaction a été remise pour autre chose", "Remettez la transaction de ce paiement ou remboursement.";
    }
    /// LIVE payments need a network to be received on.
    NetworkNotConfigured = CONFLICT "network_not_configured" {
        en: "No network is configured for LIVE payments", "The operator names one in the setting `networks`; TEST works without.";
        fr: "Aucun réseau n'est configuré pour les paiements LIVE", "L'exploitant en nomme un dans le paramètre `networks` ; TEST s'en passe.";
    }
    /// What would be paid could be missed.
    NetworkUnavailable = SERVICE_UNAVAILABLE "network_unavailable" {
        en: "The network cannot be watched at the moment", "Nothing was started. Try again in a while, or choose another network.";
        fr: "Le réseau ne peut pas être observé pour le moment", "Rien n'a été commencé. Réessayez dans un moment, ou choisissez un autre réseau.";
    }
    /// The money would have no place to go.
    PayoutAddressMissing = CONFLICT "payout_address_missing" {
        en: "The business has no payout address on this network", "An administrator of the business sets where its money goes.";
        fr: "L'entreprise n'a pas d'adresse de versement sur ce réseau", "Un administrateur de l'entreprise indique où va son argent.";
    }
    /// The network says otherwise.
    TransactionRefused = CONFLICT "transaction_refused" {
        en: "This transaction is not the right one", "Hand in the transaction that moved the money to the address of the payment or refund.";
        fr: "Cette transaction n'est pas la bonne", "Remettez la transaction qui a envoyé l'argent à l'adresse du paiement ou du remboursement.";
    }
    /// It is not certain yet what came in, nothing did, or somebody put it aside.
    NotRefundable = CONFLICT "not_refundable" {
        en: "Nothing of this can be given back now", "Wait until it is settled; what came in for nothing is decided on first.";
        fr: "Rien de ceci ne peut être remboursé maintenant", "Attendez que le paiement soit réglé ; ce qui attend une décision se décide d'abord.";
    }
    /// Never more is given back than came in, all refunds together.
    RefundTooLarge = CONFLICT "refund_too_large" {
        en: "More would be given back than came in", "Ask for what is left, or cancel a refund that is pending.";
        fr: "Il serait remboursé plus que ce qui a été reçu", "Demandez ce qui reste, ou annulez un remboursement en attente.";
    }
    /// The refund has gone on: a transaction was handed in, or it is over.
    RefundClosed = CONFLICT "refund_closed" {
        en: "The refund is past this", "Read the refund to see where it stands.";
        fr: "Le remboursement n'en est plus là", "Lisez le remboursement pour connaître son état.";
    }
    /// Wallets, payouts and cards: somebody else's money is not held here.
    NotOffered = BAD_REQUEST "not_offered" {
        en: "This is not offered by this installation", "It keeps no wallets, pays nothing out and takes no cards.";
        fr: "Ceci n'est pas proposé par cette installation", "Elle ne tient pas de portefeuille, ne verse rien et n'accepte pas de carte.";
    }
    /// Money is not made by a call.
    TestOnly = FORBIDDEN "test_only" {
        en: "This is for TEST only", "Use a key of the TEST environment.";
        fr: "Ceci est réservé à TEST", "Utilisez une clé de l'environnement TEST.";
    }
    /// The operator has bound TEST to networks: nobody but their nodes makes blocks there.
    TestLedgerOff = CONFLICT "test_ledger_off" {
        en: "The test ledger is off", "This installation makes TEST payments on networks: send the transfer there, by a wallet.";
        fr: "Le registre de test est désactivé", "Cette installation fait les paiements TEST sur des réseaux : envoyez-y le transfert, par un portefeuille.";
    }
    /// The id that was asked for is taken.
    BusinessExists = CONFLICT "business_exists" {
        en: "There is a business with this id already", "Choose another id, or leave it out.";
        fr: "Une entreprise porte déjà cet identifiant", "Choisissez un autre identifiant, ou n'en donnez pas.";
    }
    /// The profile is fixed once there are keys.
    ProfileFixed = CONFLICT "profile_fixed" {
        en: "The profile of a business with keys cannot change", "Create another business with the profile you need.";
        fr: "Le profil d'une entreprise qui a des clés ne change pas", "Créez une autre entreprise avec le profil voulu.";
    }
    /// The first request with this `Idempotency-Key` is still running.
    IdempotencyInProgress = CONFLICT "idempotency_in_progress" {
        en: "The first request with this Idempotency-Key is still running", "Repeat the request in a moment.";
        fr: "La première requête avec cette Idempotency-Key est encore en cours", "Répétez la requête dans un instant.";
    }

    // 413, 414, 415, 431: limits
    /// Path and query over 8 KiB.
    UriTooLong = URI_TOO_LONG "uri_too_long" {
        en: "The address is too long", "Path and query have at most 8 KiB together.";
        fr: "L'adresse est trop longue", "Le chemin et la requête ont 8 Kio au plus, ensemble.";
    }
    /// More than 1 MiB.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body_too_large" {
        en: "The body is too large", "A body has at most 1 MiB.";
        fr: "Le corps est trop grand", "Un corps a 1 Mio au plus.";
    }
    /// Not JSON by its `Content-Type`, or compressed.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" {
        en: "The body's media type is not accepted", "Send `application/json`, uncompressed.";
        fr: "Le type du corps n'est pas accepté", "Envoyez `application/json`, sans compression.";
    }
    /// One header over 16 KiB, or all over 64 KiB.
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE "headers_too_large" {
        en: "The headers are too large", "One header has at most 16 KiB, all together at most 64 KiB.";
        fr: "Les en-têtes sont trop grands", "Un en-tête a 16 Kio au plus, tous ensemble 64 Kio au plus.";
    }

    // 422: well-formed, and makes no sense
    /// Values that cannot be meant.
    InvalidValue = UNPROCESSABLE_ENTITY "invalid_value" {
        en: "A value makes no sense", "See `errors` for the members concerned.";
        fr: "Une valeur n'a pas de sens", "Voir `errors` pour les membres concernés.";
    }
    /// The same `Idempotency-Key` with another request.
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY "idempotency_key_reused" {
        en: "This Idempotency-Key was used for another request", "Use a new Idempotency-Key for a new request.";
        fr: "Cette Idempotency-Key a servi à une autre requête", "Utilisez une nouvelle Idempotency-Key pour une nouvelle requête.";
    }

    // 429: rates only
    /// Too many wrong proofs of who somebody is.
    TooManyAttempts = TOO_MANY_REQUESTS "too_many_attempts" {
        en: "Too many attempts", "Wait for a while, use a device you have signed in from before, or ask for a new password.";
        fr: "Trop de tentatives", "Patientez, utilisez un appareil déjà connu ou demandez un nouveau mot de passe.";
    }
    /// Too many requests for now.
    RateLimited = TOO_MANY_REQUESTS "rate_limited" {
        en: "Too many requests", "Repeat the request after the time in `Retry-After`.";
        fr: "Trop de requêtes", "Répétez la requête après le délai indiqué dans `Retry-After`.";
    }
    /// The allowance of the period is used up.
    QuotaExhausted = TOO_MANY_REQUESTS "quota_exhausted" {
        en: "The quota is used up", "Repeat the request after the time in `Retry-After`.";
        fr: "Le quota est épuisé", "Répétez la requête après le délai indiqué dans `Retry-After`.";
    }

    /// A customer gets only so many mails in a day, and only so many about one invoice.
    MailLimitReached = TOO_MANY_REQUESTS "mail_limit_reached" {
        en: "The customer was mailed often enough for now", "Repeat the request after the time in `Retry-After`, or send the address of the page yourself.";
        fr: "Le client a reçu assez d'e-mails pour le moment", "Répétez la requête après le délai indiqué dans `Retry-After`, ou envoyez vous-même l'adresse de la page.";
    }

    // 5xx: our side
    /// Our fault; the log has the cause under the request id.
    Internal = INTERNAL_SERVER_ERROR "internal_error" {
        en: "Something went wrong on our side", "Quote the request id to the operator.";
        fr: "Une erreur s'est produite de notre côté", "Communiquez le numéro de requête à l'exploitant.";
    }
    /// What the operator has set in a gateway cannot be followed.
    GatewayMisconfigured = INTERNAL_SERVER_ERROR "gateway_misconfigured" {
        en: "The gateway is not set up correctly", "Quote the request id to the operator.";
        fr: "La passerelle n'est pas configurée correctement", "Communiquez le numéro de requête à l'exploitant.";
    }
    /// Overload, or a fact that cannot be proven right now.
    Unavailable = SERVICE_UNAVAILABLE "unavailable" {
        en: "The service is not available right now", "Repeat the request after the time in `Retry-After`.";
        fr: "Le service n'est pas disponible pour le moment", "Répétez la requête après le délai indiqué dans `Retry-After`.";
    }
}

impl Kind {
    /// The name of the page that explains it: the code with dashes.
    pub fn slug(self) -> String {
        self.code().replace('_', "-")
    }

    /// The stable `type` of RFC 9457, a reference relative to this installation.
    pub fn type_reference(self) -> String {
        format!("/problems/{}", self.slug())
    }

    /// The kind whose page has this name.
    pub fn find(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.slug() == slug)
    }
}

/// Where in the request something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A member of the body, as a JSON pointer (RFC 6901); the whole body is the empty one.
    Body(String),
    /// A parameter of the query.
    Parameter(String),
}

/// One thing that is wrong with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where.
    pub place: Place,
    /// What, without the value that was sent.
    pub detail: String,
}

impl FieldError {
    /// Something about a member of the body.
    pub fn body(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { place: Place::Body(pointer.into()), detail: detail.into() }
    }

    /// Something about a parameter of the query.
    pub fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { place: Place::Parameter(name.into()), detail: detail.into() }
    }
}

/// A failure that no dialect has shaped yet.
#[derive(Debug, Clone)]
pub struct Failure(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    detail: Option<String>,
    errors: Vec<FieldError>,
    scope: Option<String>,
    retry_after: Option<Duration>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// What is said where this node's clock and the database's do not agree.
pub(crate) const CLOCK_UNSURE: &str = "The clock of this node is wrong: another node may answer.";

/// What is said where this node's key file is not the newest.
pub(crate) const SECRETS_BEHIND: &str = "The key file of this node is out of date: another node may answer.";

/// What `Retry-After` says where nothing finer is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: Kind) -> Self {
        let retry_after = matches!(kind.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            .then_some(RETRY_AFTER);
        Self(Box::new(Inner { kind, detail: None, errors: Vec::new(), scope: None, retry_after, cause: None }))
    }

    /// Says more than the kind does. Never holds what was sent.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Lists what is wrong, place by place.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// The same about parameters of the query: what a use case refused by name stood there, not in a body.
    #[must_use]
    pub fn about_query(mut self) -> Self {
        for error in &mut self.0.errors {
            if let Place::Body(pointer) = &error.place {
                error.place = Place::Parameter(pointer.trim_start_matches('/').to_owned());
            }
        }
        self
    }

    /// Names the scope that is missing.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.0.scope = Some(scope.into());
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Keeps the cause for the log. It is never shown.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Arc::new(cause));
        self
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What it says of this case.
    pub fn detail(&self, language: Language) -> &str {
        self.0.detail.as_deref().unwrap_or_else(|| self.0.kind.advice(language))
    }

    /// Title and detail, for dialects that tell what is wrong in the same text: nobody is sent to members that are not there.
    pub(crate) fn sentence(&self, language: Language) -> String {
        let title = self.0.kind.title(language);
        if let Some(scope) = self.scope() {
            return match language {
                Language::English => format!("{title}: {scope}."),
                Language::French => format!("{title}\u{a0}: {scope}."),
            };
        }
        if self.0.detail.is_none() && !self.errors().is_empty() {
            return format!("{title}.");
        }
        format!("{title}. {}", self.detail(language))
    }

    /// What is wrong, place by place.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The scope that is missing.
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// When to come back, in whole seconds, at least one.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.0.retry_after.map(|after| seconds(after).max(1))
    }

    /// The cause and the causes behind it, for the log.
    pub fn cause_chain(&self) -> Option<String> {
        let mut text = String::new();
        let mut next: Option<&(dyn Error + 'static)> = self.0.cause.as_deref().map(|cause| cause as _);
        while let Some(cause) = next {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        (!text.is_empty()).then_some(text)
    }
}

impl From<Reason> for Kind {
    /// What a refusal becomes on the wire: what only the key's owner may learn is one kind.
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::AmbiguousCredentials => Self::AmbiguousCredentials,
            Reason::KeyInUrl => Self::KeyInUrl,
            Reason::CredentialMissing => Self::CredentialMissing,
            Reason::SchemeUnsupported => Self::SchemeUnsupported,
            Reason::CredentialMalformed => Self::CredentialMalformed,
            Reason::KeyMalformed => Self::KeyMalformed,
            Reason::BusinessIdMissing => Self::BusinessIdMissing,
            Reason::KeyUnknown
            | Reason::BusinessMismatch
            | Reason::EnvironmentMismatch
            | Reason::KeyRevoked
            | Reason::KeyRotated
            | Reason::KeyInactive
            | Reason::KeyNotYetValid
            | Reason::KeyExpired
            | Reason::BusinessSuspended => Self::Unauthorized,
            Reason::HttpsRequired => Self::HttpsRequired,
            Reason::BrowserNotAllowed => Self::BrowserNotAllowed,
            Reason::KindNotAllowed => Self::KindNotAllowed,
            Reason::IpNotAllowed => Self::IpNotAllowed,
            Reason::OriginNotAllowed => Self::OriginNotAllowed,
            Reason::ScopeMissing => Self::ScopeMissing,
            Reason::RateLimited => Self::RateLimited,
            Reason::QuotaExhausted => Self::QuotaExhausted,
        }
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound => Self::new(Kind::NotFound),
            ServiceError::Invalid(problems) => Self::new(Kind::InvalidValue).with_errors(
                problems
                    .into_iter()
                    .map(|problem| FieldError::body(format!("/{}", problem.field), problem.message))
                    .collect(),
            ),
            ServiceError::BeyondOwnRights(BeyondOwnRights::Scope(scope)) => {
                Self::new(Kind::BeyondOwnRights).with_scope(scope.as_str())
            }
            ServiceError::BeyondOwnRights(
                BeyondOwnRights::Life | BeyondOwnRights::Limits | BeyondOwnRights::Addresses,
            ) => Self::new(Kind::BeyondOwnRights),
            ServiceError::NotAllowedByProfile(_) => Self::new(Kind::NotAllowedByProfile),
            ServiceError::ValueNotReadable => Self::new(Kind::ValueNotReadable),
            ServiceError::EndpointSecretNotReadable => Self::new(Kind::ValueNotReadable)
                .with_detail("The secret of a LIVE endpoint was shown once. Rotate it to get a new one."),
            ServiceError::EndpointLimitReached(_) => Self::new(Kind::EndpointLimitReached),
            ServiceError::EndpointDisabled => Self::new(Kind::EndpointDisabled),
            ServiceError::KeyLimitReached(_) => Self::new(Kind::KeyLimitReached),
            ServiceError::LastKey => Self::new(Kind::LastKey),
            ServiceError::KeyRevoked => Self::new(Kind::KeyRevoked),
            ServiceError::OverlapInProgress => Self::new(Kind::OverlapInProgress),
            ServiceError::BusinessSuspended => Self::new(Kind::BusinessSuspended),
            ServiceError::NotPayable(why) => {
                Self::new(Kind::NotPayable).with_detail(format!("It cannot be paid: {why}."))
            }
            ServiceError::PaymentClosed => Self::new(Kind::PaymentClosed),
            ServiceError::InvoiceClosed => Self::new(Kind::InvoiceClosed),
            ServiceError::NoCustomerEmail => Self::new(Kind::NoCustomerEmail),
            ServiceError::MailLimitReached { again_in } => Self::new(Kind::MailLimitReached).with_retry_after(again_in),
            ServiceError::RecurringPaymentEnded => Self::new(Kind::RecurringPaymentEnded),
            ServiceError::TransactionTaken => Self::new(Kind::TransactionTaken),
            ServiceError::NetworkNotConfigured => Self::new(Kind::NetworkNotConfigured),
            ServiceError::NetworkUnavailable(ref network) => Self::new(Kind::NetworkUnavailable)
                .with_detail(format!("The network {network} cannot be watched at the moment. Try again in a while.")),
            ServiceError::PayoutAddressMissing(network) => Self::new(Kind::PayoutAddressMissing).with_detail(format!(
                "Nobody has said where the business's money on {network} goes: Settings > Checkout > Payout addresses in \
                 LIVE, or `trousseau payout set`."
            )),
            ServiceError::TransactionRefused(why) => {
                Self::new(Kind::TransactionRefused).with_detail(format!("The transaction was refused: {why}."))
            }
            ServiceError::NotRefundable => Self::new(Kind::NotRefundable),
            ServiceError::RefundTooLarge(left) => {
                Self::new(Kind::RefundTooLarge).with_detail(format!("{left} is left that can be given back."))
            }
            ServiceError::RefundClosed => Self::new(Kind::RefundClosed),
            ServiceError::TestOnly => Self::new(Kind::TestOnly),
            ServiceError::TestLedgerOff => Self::new(Kind::TestLedgerOff),
            ServiceError::BusinessExists => Self::new(Kind::BusinessExists),
            ServiceError::ProfileFixed => Self::new(Kind::ProfileFixed),
            ServiceError::IdempotencyInProgress => Self::new(Kind::IdempotencyInProgress),
            ServiceError::IdempotencyKeyReused => Self::new(Kind::IdempotencyKeyReused),
            ServiceError::CallerRefused => Self::new(Kind::Unauthorized),
            // Keys have scopes, not roles: only people meet these.
            ServiceError::Forbidden => Self::new(Kind::RoleMissing),
            ServiceError::StepUpRequired => Self::new(Kind::StepUpRequired),
            ServiceError::People(error) => Self::from(error),
            // Nothing was written: the same request may be sent again.
            ServiceError::Conflict => Self::new(Kind::Unavailable),
            ServiceError::ClockUnsure => Self::new(Kind::Unavailable).with_detail(CLOCK_UNSURE).with_cause(error),
            ServiceError::SecretsBehind => Self::new(Kind::Unavailable).with_detail(SECRETS_BEHIND).with_cause(error),
            ServiceError::Store(ref cause) if cause.is_unavailable() => Self::new(Kind::Unavailable).with_cause(error),
            // A statement that the database refuses is a fault of ours: trying again would not help.
            ServiceError::Store(_) | ServiceError::Secrets(_) | ServiceError::Sealed(_) => {
                Self::new(Kind::Internal).with_cause(error)
            }
        }
    }
}

impl From<PeopleError> for Failure {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::SignInRefused => Self::new(Kind::SignInRefused),
            PeopleError::TooManyAttempts { .. } => Self::new(Kind::TooManyAttempts),
            PeopleError::LinkEnded => Self::new(Kind::Gone),
            PeopleError::OtherAccount => Self::new(Kind::OtherAccount),
            PeopleError::SignInFirst => Self::new(Kind::SignInFirst),
            PeopleError::LastAdministrator => Self::new(Kind::LastAdministrator),
            PeopleError::AlreadyMember => Self::new(Kind::AlreadyMember),
            PeopleError::PasskeysNotOffered => Self::new(Kind::PasskeysNotOffered),
            PeopleError::LastWayIn => Self::new(Kind::LastWayIn),
            PeopleError::Busy => Self::new(Kind::Unavailable),
        }
    }
}

impl From<Kind> for Failure {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.kind().status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gathers what is wrong with a body's values, so that one answer names all of it.
#[derive(Debug, Default)]
pub struct Faults {
    unreadable: bool,
    errors: Vec<FieldError>,
}

impl Faults {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A value that cannot be read at all: a 400.
    pub fn unreadable(&mut self, pointer: &str, detail: impl Into<String>) {
        self.unreadable = true;
        self.errors.push(FieldError::body(pointer, detail));
    }

    /// A value that is well formed and makes no sense: a 422.
    pub fn senseless(&mut self, pointer: &str, detail: impl Into<String>) {
        self.errors.push(FieldError::body(pointer, detail));
    }

    /// The value, or a note that it cannot be read.
    pub fn read<T, E: ToString>(&mut self, pointer: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.unreadable(pointer, error.to_string())).ok()
    }

    /// The value, or a note that it makes no sense.
    pub fn accept<T, E: ToString>(&mut self, pointer: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.senseless(pointer, error.to_string())).ok()
    }

    /// Whether anything is noted about a member of the body.
    pub fn are_about(&self, pointer: &str) -> bool {
        self.errors.iter().any(|error| matches!(&error.place, Place::Body(at) if at == pointer))
    }

    /// The failure, if anything was wrong.
    pub fn finish(self) -> Result<(), Failure> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let kind = if self.unreadable { Kind::InvalidBody } else { Kind::InvalidValue };
        Err(Failure::new(kind).with_errors(self.errors))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_plain() {
        let codes: HashSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!(kind.code().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{kind:?}");
            assert_eq!(Kind::find(&kind.slug()), Some(*kind));
        }
    }

    #[test]
    fn every_kind_has_its_page_and_every_page_its_kind() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems");
        let mut pages: HashSet<String> = HashSet::new();
        for entry in std::fs::read_dir(&folder).expect("the pages of the documentation") {
            let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
            pages.insert(name.trim_end_matches(".md").to_owned());
        }
        let kinds: HashSet<String> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(pages, kinds);
    }

    #[test]
    fn a_refusal_answers_with_the_status_that_its_disclosure_asks_for() {
        use trousseau_domain::decision::Disclosure;

        for code in [
            "ambiguous_credentials",
            "key_in_url",
            "credential_missing",
            "key_malformed",
            "business_id_missing",
            "key_unknown",
            "key_revoked",
            "business_suspended",
            "https_required",
            "scope_missing",
            "rate_limited",
        ] {
            let reason: Reason = code.parse().expect("a reason");
            let kind = Kind::from(reason);
            let expected = match reason.disclosure() {
                Disclosure::BadRequest => 400,
                Disclosure::Spoken | Disclosure::Generic => 401,
                Disclosure::Forbidden => 403,
                Disclosure::Limited => 429,
            };
            assert_eq!(kind.status().as_u16(), expected, "{code}");
            assert_eq!(kind == Kind::Unauthorized, reason.disclosure() == Disclosure::Generic, "{code}");
        }
    }

    #[test]
    fn refusals_never_have_a_status_that_clients_repeat() {
        for kind in Kind::ALL {
            let status = kind.status();
            assert_ne!(status, StatusCode::REQUEST_TIMEOUT);
            if status.is_server_error() {
                let ours = matches!(kind, Kind::Internal | Kind::Unavailable | Kind::NetworkUnavailable);
                // A mistake of the operator is nobody's refusal, and over once it is corrected.
                assert!(ours || *kind == Kind::GatewayMisconfigured);
            }
        }
    }
}
