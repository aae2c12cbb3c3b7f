# Développeurs > Clés API.

keys-intro = Une clé permet à vos serveurs d'appeler l'API au nom de cette entreprise. Envoyez-la avec l'identifiant d'entreprise.
keys-intro-alone = Une clé permet à vos serveurs d'appeler l'API au nom de cette entreprise.
create-key = Créer une clé
plain-http = Cette adresse n'est pas protégée par HTTPS. Quiconque écoute en chemin peut lire les clés. N'utilisez les clés LIVE qu'en HTTPS.
business-id = Identifiant d'entreprise
active-keys = Clés actives
active-secret-keys = Clés secrètes actives
active-checkout-keys = Clés Checkout actives
used-of-most = { $used } sur { $most }
room-full = Plus de place
last-verified = Dernière requête vérifiée
none-yet = aucune pour l'instant
none = aucun
none-date = aucune

column-name = Nom
column-id = ID
column-type = Type
column-reference = Référence externe
column-key = Clé
column-masked = Valeur de la clé masquée
column-start = Date de début
column-end = Date de fin
column-created = Création
column-usage = Utilisation, 7 jours
column-state = État
actions = Actions

key-number = Clé { $number }
number-sign = n° { $number }
kind-secret = Secrète
kind-checkout = Checkout
phrase-secret = clé secrète
phrase-checkout = clé API Checkout
kind-secret-hint = pour vos serveurs
kind-checkout-hint = pour les pages et les applications : démarre des paiements, lit leur statut
restricted = restreinte
ending-in = { " se terminant par " }
switch-on = Actif
switch-off = Inactif
status-active = Active
status-scheduled = Programmée
status-in-force = En vigueur
status-upcoming = À venir
status-expired = Expirée
status-inactive = Inactive
status-revoked = Révoquée
status-expiring = { $days ->
    [0] Expire aujourd'hui
    [1] Expire demain
   *[other] Expire dans { $days } jours
}
status-rotating = Renouvellement : { $until }

copy = Copier
copy-key = Clé
copy-header = En-tête
key-copied = Clé copiée
header-copied = En-tête copié
reference-copied = Référence copiée
copy-reference = Copier la référence externe

all-types = Tous les types
kind-restricted = Restreinte (secrète)
all-states = Tous les états
all-but-revoked = Tous sauf révoquées
search-numbers = Rechercher par numéro, référence, ou une clé
search-keys = Rechercher par nom, numéro, référence, ou une clé
filter = Filtrer
export-csv = Exporter en CSV
export-excel = CSV pour Excel
export-most = Les 10 000 lignes les plus récentes au plus
filter-text = « { $text } »
nothing-found = Aucune clé ne correspond
clear-filters = Effacer les filtres
no-key-yet = Aucune clé dans { $environment } pour l'instant
no-key-next = Créez-en une et envoyez votre première requête en une minute.
read-guide = Lire le guide
keys-caption = Clés API de { $business } dans l'environnement { $environment }
keys-range = { $total ->
    [one] { $first }–{ $last } sur { $total } clé
   *[other] { $first }–{ $last } sur { $total } clés
}
rows-per-page = Éléments par page
show = Afficher
pages = Pages
previous = Précédent
next = Suivant
never-used = jamais utilisée
last-used = Dernière utilisation
more-actions = Autres actions
more-actions-of = Autres actions : { $name }
action-open = Ouvrir
action-edit = Modifier
action-rotate = Renouveler
action-switch-off = Désactiver
action-switch-on = Activer
action-revoke = Révoquer

whose-title = À qui est cette clé ?
whose-hint = Collez une clé trouvée dans un journal, un fichier ou une page. Elle est recherchée, ouverte si elle est à vous, et n'est ni affichée ni conservée.
whose-label = Une clé
whose-button = Trouver son titulaire
unknown-key-title = Aucune de vos clés n'a cette valeur.
unknown-key = Elle n'a été ni affichée ni conservée. Si ce devait être une clé de cette entreprise, comparez ses trois derniers caractères avec la liste.

create-title = Créer une clé
create-intro = Donnez à chaque système sa propre clé : on peut alors mettre fin à l'une sans toucher aux autres.
edit-title = Modifier { $name }
name-hint = Ce qui l'utilise, par exemple « Service commandes ». Seule votre équipe le voit.
permissions = Autorisations
permissions-hint = Donnez-lui ce dont elle a besoin, et rien de plus : une clé volée peut faire exactement cela.
resource-payment-links = Liens de paiement
resource-invoices = Factures
resource-recurring-payments = Paiements récurrents
resource-payments = Paiements
resource-refunds = Remboursements
resource-checkout = Checkout
resource-keys = Clés API
resource-webhooks = Webhooks
resource-events = Événements et refus
level-none = Aucune
level-read = Lire
level-write = Lire et modifier
level-status = Lire le statut
level-start = Démarrer des paiements, lire leur statut
level-only = Seulement : { $what }
ips = Plages IP autorisées
ips-hint = Une par ligne, par exemple 203.0.113.0/24. Vide : toute adresse est admise.
origins = Origines web autorisées
origins-hint = Une par ligne, par exemple https://boutique.example. Vide : toute page est admise.
rates = Limites de débit
rates-hint = Une par ligne, par exemple 100/1m pour 100 requêtes par minute ; s, m, h ou 1d (un jour). Quatre au plus. Vide : aucune limite.
quota-day = Requêtes par jour au plus
quota-month = Requêtes par mois au plus
quota-hint = Compté en UTC. Vide : aucune limite.
limit-rate = { $unit ->
    [second] { $calls } requêtes en { $count ->
        [one] { $count } seconde
       *[other] { $count } secondes
    }
    [minute] { $calls } requêtes en { $count ->
        [one] { $count } minute
       *[other] { $count } minutes
    }
    [hour] { $calls } requêtes en { $count ->
        [one] { $count } heure
       *[other] { $count } heures
    }
   *[day] { $calls } requêtes en 24 heures
}
limit-quota = { $period ->
    [day] { $calls } requêtes par jour
   *[month] { $calls } requêtes par mois
}
day-hint = La journée entière compte, dans le fuseau horaire { $zone }.
end-hint = Le jour de fin est inclus. Compté à partir de la date de début.
end-none = Sans fin
end-days = { $count } jours
end-date = Une date
update-sentence = Actualiser la phrase
save = Enregistrer
cancel = Annuler
close = Fermer

wrong-name-empty = Donnez un nom à la clé.
wrong-name-long = Un nom a { $most } caractères au plus.
wrong-name-control = Le nom contient un caractère de contrôle, ou un caractère qui change le sens d'écriture.
wrong-day = Écrivez un jour sous la forme 2026-01-31.
wrong-order = La date de fin précède la date de début.
wrong-scope = Ce type de clé ne peut pas avoir l'une de ces autorisations.
wrong-ip = Ce n'est pas une plage IP, ou elle a des bits d'hôte : { $list }
wrong-ips = Ces plages ne conviennent pas à ce type de clé.
wrong-rate = Ce n'est pas un débit tel que 100/1m, de 1 à 1000000 requêtes en 1d au plus : { $list }
wrong-rates-same = Deux débits portent sur la même durée.
wrong-quota = Écrivez un nombre entier de requêtes, au moins 1, ou rien.
wrong-origin = Ce n'est pas une origine telle que https://boutique.example : { $list }
wrong-origins = Ces origines ne conviennent pas à ce type de clé.
wrong-too-many = { $most } entrées au plus.
wrong-kind = Ce type de clé ne peut pas être créé ici.
limit-reached = Il y a autant de clés que possible. Révoquez ou désactivez-en d'abord une autre.
limit-reached-here = { $kind ->
    [secret] Les { $most } places pour les clés secrètes sont prises.
    [checkout] Les { $most } places pour les clés Checkout sont prises.
   *[all] Les { $most } places sont prises.
}
limit-next = Mettez fin à une clé qui ne sert plus, puis créez celle-ci :
last-key = C'est la dernière clé en vigueur de son type. Créez-en d'abord une autre, pour que vos systèmes n'en manquent jamais.
last-keys = Sans elles, aucune clé de leur type ne serait en vigueur. Laissez-en une, ou créez-en d'abord une autre.

sum-checkout = Les pages et applications munies de cette clé pourront démarrer des paiements pour des liens qu'elles connaissent, et lire leur statut, dans { $environment }.
sum-secret = Quiconque détient cette clé pourra { $able } dans { $environment }.
sum-nothing = Cette clé ne pourra rien faire d'autre que prouver qu'elle existe.
sum-everything = Quiconque détient cette clé pourra faire tout ce que propose l'API de cette entreprise, jusqu'à sa révocation.
sum-reach = Elle fonctionne { $reach }.
sum-no-end = Elle est en vigueur à partir du { $start }, sans fin.
sum-end = Elle est en vigueur du { $start } à la fin du { $end }.
sum-off = Elle est désactivée jusqu'à ce que vous l'activiez.
list-and = { " et " }
list-phrases = { " ; " }
reach-any-origin = depuis toute page
reach-origins = depuis les pages de { $list } seulement
reach-any-address = depuis toute adresse
reach-addresses = depuis { $list } seulement

noun-payment-links = les liens de paiement
noun-invoices = les factures
noun-recurring-payments = les paiements récurrents
noun-payments = les paiements
noun-refunds = les remboursements
noun-webhooks = les webhooks
noun-keys = les clés API
noun-events = les événements
noun-checkout = le checkout
may-both = lire et modifier { $what }
may-read = lire { $what }
may-change = modifier { $what }
may-checkout-start = démarrer des paiements
may-checkout-status = lire le statut d'un paiement
may-checkout-both = démarrer des paiements et lire leur statut

stakes = Ce que représente cette clé
if-stolen = Si elle est volée
if-ended = Si elle prend fin maintenant
stolen-nothing = Rien : elle n'a aucune autorisation.
stolen-test = Quiconque l'a peut { $able } dans TEST, { $reach }. Aucun argent réel ne circule.
stolen-live = Quiconque l'a peut { $able }, { $reach }, avec de vrais clients et de l'argent réel.
stolen-checkout = Peu de chose : elle est publique. Quiconque l'a peut { $able }, { $reach }.
ended-used = { $count ->
    [one] { $count } requête l'a utilisée en 7 jours, { $used }. Ce qui l'envoie est refusé dès cet instant.
   *[other] { $count } requêtes l'ont utilisée en 7 jours, la dernière { $used }. Ce qui les envoie est refusé dès cet instant.
}
ended-quiet = Rien ne l'a utilisée en 7 jours ; la dernière requête est venue { $used }. Ce qui l'envoie est refusé dès cet instant.
ended-unused = Rien ne l'a encore utilisée : rien ne s'arrête.
ended-not-in-force = Rien ne s'arrête : elle n'est pas en vigueur.

issued-made = Clé API créée
issued-rotated = Nouvelle valeur créée
issued-replaced = Valeur remplacée
issued-revealed = Valeur de la clé
issued-copy-title = Copiez ces valeurs maintenant.
issued-keep-title = Gardez ces valeurs secrètes.
issued-once-live = En LIVE, elles ne s'affichent qu'une fois : elles ne sont pas conservées et personne ne pourra les retrouver. En cas de perte, créez une nouvelle clé.
issued-once-test = Elles ne s'affichent qu'une fois : elles ne sont pas conservées et personne ne pourra les retrouver. En cas de perte, créez une nouvelle clé.
issued-readable-live = Elles sont conservées chiffrées, et vous pouvez les copier de nouveau sur la page de la clé. Chaque lecture est consignée.
issued-readable-test = Elles sont conservées chiffrées et, en TEST, vous pouvez les copier de nouveau sur la page de la clé.
issued-old-until = L'ancienne valeur est acceptée jusqu'au { $until }. Mettez la nouvelle en place d'ici là.
issued-old-ended = L'ancienne valeur est refusée dès maintenant.
issued-install = Placez la clé et l'identifiant d'entreprise dans les réglages de votre système, ou dans son environnement ; jamais dans du code, une page ou un message.
issued-install-alone = Placez la clé dans les réglages de votre système, ou dans son environnement ; jamais dans du code, une page ou un message.
until-day = jusqu'au { $day }
without-end = sans date de fin
key-value = Valeur de la clé
authorization = Authorization (en-tête HTTP)
verify-now = Vérifier la clé dès maintenant
request-example = Exemple de requête
stored-it = J'ai enregistré la clé en lieu sûr
env-file = Fichier .env

details = Détails
key-id = Identifiant de la clé
unreadable = La valeur a été affichée une seule fois et n'est pas conservée. Pour en voir une, créez une autre clé ou renouvelez celle-ci.
unreadable-no-rotation = La valeur a été affichée une seule fois et n'est pas conservée. Pour en voir une, créez une autre clé.
unbound-title = Toute page peut utiliser cette clé.
unbound = En LIVE, limitez-la aux origines de votre boutique : une copie ne fonctionne alors nulle part ailleurs.
unbound-next = La limiter à des origines
rotating-until = La valeur d'avant le dernier renouvellement est encore acceptée, jusqu'au
rotating-next = Un renouvellement avec recouvrement doit attendre jusque-là. Remplacer maintenant met fin aux deux anciennes valeurs.
history = Historique
changed-from-to = { $what } : { $old } → { $new }
metadata = Métadonnées

switch-off-question = Désactiver { $name } ?
switch-on-question = Activer { $name } ?
revoke-question = Révoquer { $name } définitivement ?
revoke-button = Révoquer définitivement
type-name = Tapez le nom de la clé pour confirmer : { $name }
type-name-wrong = Tapez { $name } pour confirmer.
rotate-title = Renouveler { $name }
rotate-intro = La clé reçoit une nouvelle valeur et garde son nom, son numéro et ses autorisations.
rotate-planned = Avec le temps de basculer
rotate-planned-hint = L'ancienne et la nouvelle valeur fonctionnent côte à côte, puis l'ancienne prend fin d'elle-même.
overlap = L'ancienne valeur fonctionne encore
overlap-hours = { $count ->
    [one] { $count } heure
   *[other] { $count } heures
}
overlap-days = { $count } jours
overlap-in-progress = Une valeur antérieure de cette clé est encore acceptée. Attendez sa fin, ou remplacez la valeur maintenant.
choose-overlap = Choisissez combien de temps l'ancienne valeur fonctionne.
replace-now = Remplacer maintenant
replace-hint = Pour une valeur divulguée : elle ne vaut plus rien sur-le-champ, ni aucune plus ancienne. Cela fonctionne aussi pour la dernière clé.

flash-form-sent-already = Ce formulaire a déjà été envoyé. Ce qu'il a créé est dans la liste.
form-sent-otherwise = Ce formulaire a déjà été envoyé avec d'autres champs, et ce qu'ils demandaient a été fait. Si vous voulez aussi ceci, envoyez-le maintenant.
rotate-sent-otherwise = Un formulaire de cette page a déjà été envoyé, et la clé a une nouvelle valeur depuis. Pour lui en donner encore une autre, envoyez ce formulaire une nouvelle fois.
create-sent-otherwise = Ce formulaire a déjà été envoyé avec d'autres champs et a créé une clé, qui est dans la liste. Si vous en voulez une autre, créez-la maintenant.
changed-meanwhile = Quelqu'un d'autre a modifié ceci entre-temps. Enregistrez de nouveau pour garder votre choix, ou ouvrez la page de la clé pour voir où elle en est.
lockout-question = Mettre { $name } hors vigueur ?
lockout = C'est la seule clé en vigueur : sans elle, rien chez vous ne peut appeler.
flash-key-saved = { $name } : modifications enregistrées.
flash-key-off = { $name } est désactivée.
flash-key-on = { $name } est activée.
flash-key-revoked = { $name } est révoquée.

unbound-seen = Elle a été utilisée depuis :
unbound-bind = La limiter à ces origines
usage-week = Requêtes en 7 jours
day-utc = Jour (UTC)
who-uses = Qui l'utilise
who-uses-old = Qui a été vu avec une ancienne valeur
last-calls = Dernières requêtes
when = Quand
call = Requête
http-status = Statut
address = Adresse
client = Client
origin = Origine
which-value = Valeur
value-old = antérieure
value-present = actuelle
requests = Requêtes
first-seen = Vu d'abord
last-seen = Vu en dernier
not-known = inconnu
left-behind = Les clés qu'elle a créées
left-behind-hint = Elles survivent à la fin de cette clé, sauf si elles sont révoquées avec elle.
end-as-well = Qui avait cette clé avait aussi celles-ci. Elles sont révoquées avec elle, sauf si vous les décochez.
