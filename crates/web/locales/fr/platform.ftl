# Les pages des administrateurs de la plateforme.

platform-businesses = Entreprises de cette installation
platform-businesses-intro = Toutes celles dont cette installation sert les clés. Seuls leurs membres voient leurs clés.
platform-create = Créer une entreprise
platform-create-intro = Elle commence avec des clés TEST. La personne invitée en devient l'administrateur et voit une seule fois les premières clés LIVE.
platform-search = Nom ou identifiant d'entreprise
platform-none = Aucune entreprise pour le moment
platform-none-next = Créez-en une et invitez son premier administrateur.
platform-none-found = Aucune entreprise ne correspond
platform-range = { $total ->
    [one] { $first }–{ $last } sur { $total } entreprise
   *[other] { $first }–{ $last } sur { $total } entreprises
}
platform-open = Ouverte
platform-suspended = Suspendue
platform-suspended-since = Suspendue depuis
platform-invited = Invitations en cours
platform-own = Ses pages
platform-no-keys = Vous ne voyez rien de ses clés ici : seuls ses membres les voient.
platform-profile-hint = L'aspect de ses clés et leurs règles. Il est fixé dès qu'il y a des clés, donc dès le début.
platform-profile-invalid = Choisissez un profil de la liste.
platform-id = Identifiant d'entreprise
platform-id-hint = Dans la forme du profil. Laissez vide pour en obtenir un nouveau.
platform-id-invalid = Ce n'est pas la forme du profil : un UUID, ou un certain nombre de chiffres.
platform-id-taken = Une entreprise a déjà cet identifiant.
platform-email = Adresse e-mail du premier administrateur
platform-email-hint = L'invitation y est envoyée et reste valable 7 jours.
suspend = Suspendre
resume = Rétablir
suspend-question = Suspendre { $name } ?
suspend-consequence = { $count ->
    [0] Toutes ses clés sont refusées dès cet instant ; aucune requête ne les a utilisées en 7 jours. Ses membres peuvent encore lire ses pages, sans rien modifier. Rien n'est supprimé.
    [one] Toutes ses clés sont refusées dès cet instant : { $count } requête les a utilisées en 7 jours. Ses membres peuvent encore lire ses pages, sans rien modifier. Rien n'est supprimé.
   *[other] Toutes ses clés sont refusées dès cet instant : { $count } requêtes les ont utilisées en 7 jours. Ses membres peuvent encore lire ses pages, sans rien modifier. Rien n'est supprimé.
}
resume-question = Rétablir { $name } ?
resume-consequence = Ses clés sont de nouveau acceptées dès cet instant, pour autant que chacune soit en vigueur.
type-name-business = Saisissez le nom de l'entreprise pour confirmer : { $name }
flash-business-created = { $name } a été créée, et son premier administrateur est invité.
flash-business-suspended = { $name } est suspendue. Ses clés sont refusées.
flash-business-resumed = { $name } est de nouveau ouverte.

platform-keys = Clés de plateforme
platform-keys-intro = Les clés de l'exploitant : elles n'appartiennent à aucune entreprise et agissent pour cette installation.
platform-keys-none = Aucune clé de plateforme pour le moment
platform-keys-none-next = Vos serveurs en ont besoin pour demander si une clé est bonne, ou pour gérer les entreprises.
platform-key-create = Créer une clé de plateforme
platform-key-create-intro = Ne lui donnez pas plus que ce dont son programme a besoin.
platform-key-name-invalid = Saisissez un nom de 1 à 50 caractères.
platform-scope-verify = Demander si une clé est bonne
platform-scope-manage = Gérer les entreprises et leurs clés
platform-scopes-none = Choisissez au moins une autorisation.
platform-key-made = Clé de plateforme créée
platform-key-once = Elle est affichée maintenant et plus jamais. Qui la détient agit pour toute l'installation.
platform-key-revoke-used = Dernière utilisation : { $used }. Tout ce qui l'envoie est refusé dès cet instant.
platform-key-revoke-unused = Rien ne l'a utilisée. Tout ce qui l'envoie est refusé dès cet instant.
platform-former = Une personne qui n'est plus administrateur de la plateforme

platform-node = Santé
node-intro = L'état de ce nœud et de ses tâches. Les autres nœuds sur la même base ont leur propre page.
node-state = État
node-ready = Prêt à servir
node-ready-yes = Oui
node-ready-no = La base de données ne répond pas
node-database = Base de données
node-version = Version
node-started = Démarré
node-queues = Ce qui attend
node-events = Événements à transmettre
node-mails = E-mails à envoyer
node-mail-folder = Aucun serveur de messagerie n'est réglé : les e-mails sont écrits dans
node-mails-failed = E-mails abandonnés depuis le démarrage
node-notes = Notes de requêtes à écrire
node-dropped = Notes perdues depuis le démarrage
node-jobs = Tâches
node-job = Tâche
node-ran = Dernière exécution
node-failed = Dernière erreur
job-reminders = Rappeler les factures aux clients
job-announcements = Annoncer les clés qui se terminent bientôt
job-recorder = Noter les requêtes et les utilisations
job-dispatcher = Transmettre les événements
job-changes = Apprendre les changements des autres nœuds
job-pruning = Retirer ce qui est trop ancien
job-mail = Envoyer les e-mails
job-payments = Observer les registres et créer les périodes
job-networks = Observer les réseaux
job-webhooks = Livrer les webhooks
job-well = En ordre
job-failing = En échec
job-waiting = Pas encore exécutée

platform-configuration = Configuration
configuration-intro = Ce avec quoi ce nœud a démarré. Les secrets ne sont pas affichés. Un changement prend effet au prochain démarrage.
configuration-setting = Réglage
configuration-value = Valeur
configuration-from = Origine
configuration-set = défini
configuration-none = Rien n'est connu de la configuration ici
origin-default = Valeur par défaut
origin-file = Fichier
origin-variable = Variable
origin-flag = Option
job-reconciliation = Comparer les sommes des réseaux
node-sums = Les sommes concordent-elles ?
node-sums-block = Bloc
node-sums-addresses = Adresses
node-sums-differences = Différences
