# Le cadre de toutes les pages : bandeau, en-tête, onglets, menus.

skip-to-content = Aller au contenu
environment = Environnement
band-test = Environnement TEST : aucun argent réel ne circule. Clés et données restent séparées de LIVE.
band-live = Environnement LIVE : clients réels, argent réel.
switch-business = Changer d'entreprise. Actuelle :
businesses = Entreprises
all-businesses = Toutes les entreprises
copy-business-id = Copier l'identifiant d'entreprise
business-id-copied = Identifiant d'entreprise copié
copied = Copié
copy-failed = La copie a échoué. Le texte est sélectionné : copiez-le vous-même.
account = Compte
account-menu = Menu du compte, { $name }
guide = Guide et référence de l'API
platform = Plateforme
sign-out = Se déconnecter
theme = Thème
theme-light = Clair
theme-dark = Sombre
theme-system = Comme le système
main-menu = Principal
suspended = Cette entreprise est suspendue. Ses clés sont refusées ; ses pages peuvent être lues mais pas modifiées. L'exploitant de cette installation peut vous dire pourquoi.

tab-home = Accueil
tab-payments = Paiements
tab-payment-links = Liens de paiement
tab-invoices = Factures
tab-recurring-payments = Paiements récurrents
tab-developers = Développeurs
tab-settings = Paramètres

sub-api-keys = Clés API
sub-webhooks = Webhooks
sub-events = Événements
sub-requests = Journal des requêtes
sub-usage = Utilisation
sub-reference = Référence de l'API
sub-business = Entreprise
sub-checkout = Page de paiement
sub-members = Membres
sub-notices = Notifications

role-administrator = Administrateur
role-developer = Développeur
role-analyst = Analyste

list-or = { " ou " }

form-errors = { $count ->
    [one] Un point demande votre attention
   *[other] { $count } points demandent votre attention
}

time-just-now = à l'instant
time-seconds-ago = { $count ->
    [one] il y a { $count } seconde
   *[other] il y a { $count } secondes
}
time-minutes-ago = { $count ->
    [one] il y a { $count } minute
   *[other] il y a { $count } minutes
}
time-hours-ago = { $count ->
    [one] il y a { $count } heure
   *[other] il y a { $count } heures
}
time-days-ago = { $count ->
    [1] hier
   *[other] il y a { $count } jours
}
time-in-minutes = { $count ->
    [one] dans { $count } minute
   *[other] dans { $count } minutes
}
time-in-hours = { $count ->
    [one] dans { $count } heure
   *[other] dans { $count } heures
}
time-in-days = { $count ->
    [1] demain
   *[other] dans { $count } jours
}

step-up-title = Confirmez que c'est bien vous
step-up-intro = Seule une personne qui a prouvé son identité dans les dix dernières minutes peut modifier les clés LIVE et les membres. Vous reprenez ensuite là où vous étiez.
step-up-passkey = Utiliser une clé d'accès
step-up-script = Une clé d'accès demande un navigateur qui exécute les scripts.
password = Mot de passe
or-code = Un code à la place
code-hint = De votre application d'authentification, ou un code de secours.
confirm = Confirmer
proof-wrong = Ce n'est pas juste. Réessayez.
proof-later = Trop de tentatives. Réessayez { $when }.
