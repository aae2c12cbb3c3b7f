# Le guide et la référence de l'API.

docs-guide = Guide
docs-reference = Référence de l'API
docs-sections = Documentation
docs-copy = Copier { $what }
docs-copied = Copié
docs-copy-failed = La copie a échoué. Le texte est sélectionné : copiez-le vous-même.

docs-first-call = Votre premier appel
docs-why-keys = Pourquoi des clés
docs-kinds = Types de clés et leurs formes
docs-business-id = L'identifiant d'entreprise
docs-get-a-key = Obtenir et installer une clé
docs-send-a-key = Envoyer une clé
docs-keep-secret = Garder les clés secrètes
docs-test-and-live = TEST et LIVE
docs-checkout = Encaisser dans une page
docs-webhooks = Webhooks
docs-rotate = Renouveler sans interruption
docs-leaks = Quand une clé a fuité
docs-rules = Limites et dernière clé
docs-refusals = Pourquoi un appel a été refusé

docs-previous = Précédent
docs-next = Suivant
docs-written-for = Rédigé pour
docs-profiles = Profil
docs-the-command = la commande
docs-the-page = la page

docs-contents-lead = Chaque appel, avec ses paramètres, ses réponses, ses erreurs et des exemples à coller.
docs-search = Chercher dans la référence
docs-search-button = Chercher
docs-search-clear = Afficher tous les appels
docs-found = { $count ->
    [one] { $count } appel
   *[other] { $count } appels
}
docs-found-nothing = Aucun appel ne contient tous ces mots. Essayez-en moins, ou une partie d'un chemin.
docs-errors-lead = Les erreurs sont des problèmes au format RFC 9457 avec un code stable, et chacune a sa page. Les routes de Codat et de Payline répondent dans la forme que leurs clients attendent.
docs-openapi = Document OpenAPI
docs-back-to-contents = Tous les appels

docs-who = Qui peut appeler
docs-who-everybody = Tout le monde
docs-who-keys = Une clé d'une entreprise
docs-who-basic-keys = Une clé d'une entreprise, par Authorization: Basic
docs-who-platform = Une clé de plateforme de l'exploitant
docs-scope = Autorisation requise
docs-scope-none = Aucune
docs-samples = Exemples
docs-samples-note = La clé vient d'une variable d'environnement, jamais du code.
docs-parameters = Paramètres
docs-body = Corps
docs-body-required = JSON, obligatoire
docs-body-optional = JSON, peut être omis
docs-answers = Réponses
docs-errors = Erreurs
docs-members = Membres
docs-the-example = l'exemple
docs-the-business-id = l'identifiant d'entreprise
docs-example-value = Exemple : { $value }
docs-required = obligatoire
docs-in-path = dans le chemin
docs-in-query = dans l'URL
docs-in-header = en-tête
docs-no-body = Sans corps.

docs-type-string = texte
docs-type-instant = instant (RFC 3339)
docs-type-integer = nombre entier
docs-type-boolean = vrai ou faux
docs-type-array = liste de : { $items }
docs-type-object = objet
docs-type-any = toute valeur
docs-type-or-null = { $kind }, ou null
docs-limit-one-of = L'une de ces valeurs : { $words }.
docs-limit-length = { $count } caractères.
docs-limit-most-characters = { $count } caractères au plus.
docs-limit-between = De { $least } à { $most }.
docs-limit-least = { $least } au moins.
docs-limit-most = { $most } au plus.

docs-problem = Problème
docs-problem-code = Code
docs-problem-status = Statut
docs-problem-do = Que faire
docs-problem-again = Si la même requête est renvoyée
docs-problem-more = Toutes les raisons d'un refus
docs-again-change = Elle échoue de nouveau : modifiez-la d'abord.
docs-again-state = Elle échoue tant que l'état qui l'interdit n'a pas changé.
docs-again-later = Elle peut réussir plus tard. Attendez le délai indiqué par `Retry-After`.
docs-again-internal = On ne sait pas si la requête a eu un effet. Avec la même `Idempotency-Key`, elle peut être répétée sans risque.
docs-again-unavailable = Elle peut réussir plus tard. Avec la même `Idempotency-Key`, elle n'est exécutée qu'une fois.
docs-again-unauthorized = Elle échoue de nouveau. La réponse est la même pour une clé inconnue, une clé d'une autre entreprise ou d'un autre environnement, et une clé révoquée, remplacée, désactivée, pas encore valable ou expirée : seul le titulaire de la clé peut apprendre laquelle de ces raisons vaut, par le numéro de requête.

docs-try = Essayer en TEST
docs-try-lead = L'appel s'exécute chez nous avec la clé TEST que vous choisissez, et figure dans le journal des requêtes comme tout autre. La valeur de la clé n'est pas montrée ; les valeurs dans la réponse sont masquées.
docs-try-key = Clé TEST
docs-try-send = Envoyer en TEST
docs-try-answer = Réponse
docs-try-the-answer = la réponse
docs-try-time = { $count } ms
docs-try-headers = En-têtes de la réponse
docs-try-no-key = Aucune de vos entreprises n'a de clé TEST active dont la valeur peut être lue. Créez-en une, puis revenez.
docs-try-sign-in = Connectez-vous pour essayer cet appel en TEST
docs-try-role = Les administrateurs et développeurs d'une entreprise avec un environnement TEST peuvent essayer cet appel ici.
