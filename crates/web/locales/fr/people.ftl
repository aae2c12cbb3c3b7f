# Connexion, premier démarrage, invitations, nouveaux mots de passe, comptes et membres.

people-email = Adresse e-mail
people-name = Votre nom
people-password = Mot de passe
people-new-password = Nouveau mot de passe
people-password-hint = Au moins 12 caractères. Une phrase de plusieurs mots convient bien ; les mots de passe courants sont refusés.
people-language = Langue
people-language-en = English
people-language-fr = Français
people-business = Nom de l'entreprise
people-zone = Fuseau horaire
people-zone-hint = Celui dans lequel commencent et finissent les jours de l'entreprise, par exemple Europe/Paris.

people-email-invalid = Saisissez une adresse e-mail comme nom@example.com.
people-name-invalid = Saisissez un nom de 1 à 100 caractères.
people-business-invalid = Saisissez un nom de 1 à 200 caractères.
people-zone-invalid = Saisissez un fuseau horaire comme Europe/Paris.
people-password-empty = Saisissez votre mot de passe.
people-password-short = Choisissez au moins 12 caractères.
people-password-long = Choisissez un mot de passe plus court.
people-password-common = C'est un mot de passe courant ou un motif simple. Choisissez-en un autre.
people-password-personal = Ne composez pas le mot de passe à partir de votre nom ou de votre adresse.
people-too-many = Trop de tentatives. Réessayez { $when }, utilisez un appareil déjà connu ou demandez un nouveau mot de passe.
people-reset-too-many = Trop de liens ont été demandés depuis votre réseau. Réessayez { $when }.

people-sign-in-title = Connexion
people-sign-in-unsent = Votre session a pris fin : ce que vous venez d'envoyer n'a pas été fait. Après la connexion, saisissez-le et envoyez-le de nouveau.
people-sign-in-refused = L'adresse e-mail ou le mot de passe ne sont pas corrects.
people-sign-in = Se connecter
people-forgot = Mot de passe oublié ?
people-passkey = Se connecter avec une clé d'accès
people-passkey-refused = La clé d'accès n'a pas été acceptée. Réessayez ou utilisez votre mot de passe.
people-passkey-failed = Votre navigateur n'a fourni aucune clé d'accès.
people-code-title = Seconde étape
people-code-lead = Saisissez le code que votre application d'authentification affiche maintenant, ou l'un de vos codes de secours.
people-code = Code
people-code-refused = Ce code n'est pas correct, ou a déjà servi.
people-continue = Continuer
people-start-over = Recommencer

people-welcome-title = Créer le premier compte
people-welcome-lead = Vous devenez l'administrateur de cette plateforme et de sa première entreprise. Cette page ne s'ouvre qu'une fois.
people-welcome-waiting = Vous devenez administrateur de l'entreprise { $business }.
people-create-account = Créer le compte

people-reset-title = Choisir un nouveau mot de passe
people-reset-lead = Nous envoyons un lien à votre adresse. Il n'est valable qu'une fois, pendant 15 minutes.
people-reset-send = Envoyer le lien
people-reset-sent = Si cette adresse a un compte, un lien lui est envoyé. Regardez dans votre boîte, y compris parmi les indésirables.
people-reset-files = Aucun serveur de messagerie n'est réglé ici : les messages sont écrits dans le dossier des données du serveur, où son exploitant les trouve.
people-reset-choose = Enregistrer le nouveau mot de passe
people-back-to-sign-in = Retour à la connexion

people-invitation-title = Invitation à rejoindre { $business }
people-invitation-platform-title = Invitation à administrer cette plateforme
people-invitation-lead = { $email } est invité(e) chez { $business } en tant que : { $role }.
people-invitation-platform-lead = { $email } est invité(e) à administrer cette plateforme.
people-invitation-accept = Accepter l'invitation
people-invitation-sign-in = Cette adresse a déjà un compte. Connectez-vous avec lui, et vous reviendrez à cette invitation.
people-invitation-other = Vous êtes connecté avec un autre compte. Déconnectez-vous, puis ouvrez de nouveau le lien de l'invitation.

people-keys-page = Les premières clés
people-keys-title = Les premières clés de { $business }
people-keys-lead = Ces valeurs sont affichées maintenant. Rangez celles qui ne sont affichées qu'une seule fois dans votre gestionnaire de secrets avant de continuer.
people-keys-once = Affichée une seule fois : elle ne peut pas être relue.
people-keys-again = Peut être relue sous Développeurs.
people-keys-id = Identifiant d'entreprise
people-keys-copy-call = Copier cet appel
people-keys-stored = J'ai enregistré les clés en lieu sûr
people-key-secret = Clé secrète
people-key-checkout = Clé API Checkout

flash-welcome = Bienvenue. Vous êtes l'administrateur de l'entreprise { $name }.
flash-joined = Vous faites maintenant partie de l'entreprise { $name }.
flash-signed-out = Vous êtes déconnecté.
flash-sign-in-again = Cette étape a duré trop longtemps, ou trop de codes étaient faux. Connectez-vous de nouveau.
flash-password-changed = Votre mot de passe a été changé et toutes les autres sessions ont été fermées.
flash-password-reset = Votre mot de passe a été changé. Connectez-vous avec lui et votre application d'authentification.

people-save = Enregistrer
people-cancel = Annuler
people-remove = Retirer

account-title = Compte
account-profile = Nom et langue
account-password-lead = Toutes vos autres sessions sont fermées quand vous le changez.
account-password-current = Mot de passe actuel
account-password-change = Changer le mot de passe
account-password-wrong = Le mot de passe actuel n'est pas correct.
account-totp = Application d'authentification
account-totp-on = La connexion demande un code de votre application. { $count ->
    [one] Il reste { $count } code de secours.
   *[other] Il reste { $count } codes de secours.
}
account-totp-off = Ajoutez une application d'authentification : la connexion demandera alors son code après le mot de passe.
account-totp-add = Ajouter une application d'authentification
account-totp-remove-question = Retirer l'application d'authentification ?
account-totp-remove-consequence = La connexion ne demandera plus que le mot de passe, et vos codes de secours ne vaudront plus rien.
account-totp-remove-code = Code de l'application ou code de secours
account-totp-remove = Retirer l'application
account-totp-lead = Scannez le code avec votre application, ou saisissez-y le secret. Saisissez ensuite le code que l'application affiche.
account-totp-qr = Code QR pour l'application d'authentification ; le secret figure en dessous
account-totp-secret = Secret
account-totp-copy = Copier le secret
account-totp-code = Code de l'application
account-codes = Codes de secours
account-codes-lead = Rangez ces codes maintenant : ils ne sont affichés qu'une seule fois. Chacun permet une connexion si vous n'avez pas votre application sous la main.
account-codes-copy = Copier les codes de secours
account-codes-stored = J'ai rangé les codes
account-codes-question = Créer de nouveaux codes de secours ?
account-codes-consequence = Vos codes actuels cessent aussitôt de fonctionner. Les nouveaux ne sont affichés qu'une seule fois : préparez l'endroit où les ranger.
account-codes-replace = Créer de nouveaux codes de secours
account-passkeys = Clés d'accès
account-passkeys-lead = Connectez-vous par votre empreinte, votre visage ou le verrouillage de votre appareil, sans mot de passe. Le mot de passe continue d'ouvrir le compte à lui seul, sauf si le code d'une application d'authentification est demandé ensuite.
account-passkeys-not-offered = Les clés d'accès exigent un nom d'hôte et HTTPS. Elles ne sont pas proposées à cette adresse.
account-passkey-name = Nom de la nouvelle clé d'accès
account-passkey-name-invalid = Saisissez un nom de 1 à 50 caractères pour la clé d'accès.
account-passkey-remove-title = Retirer une clé d'accès
account-passkey-remove-question = Retirer la clé d'accès { $name } ?
account-passkey-remove-consequence = Plus personne ne pourra se connecter avec elle. Vos autres moyens de connexion restent inchangés.
account-passkey-add = Ajouter une clé d'accès
account-passkey-failed = Votre navigateur n'a créé aucune clé d'accès.
account-passkey-script = L'ajout d'une clé d'accès exige JavaScript, car seul un script peut en demander une à votre appareil.
account-added = ajoutée
account-used = dernière utilisation
account-never-used = jamais utilisée
account-sessions = Sessions
account-sessions-lead = Là où vous êtes connecté. Une session se ferme deux heures après sa dernière utilisation, et après deux semaines dans tous les cas.
account-this-session = celle-ci
account-unknown-browser = Navigateur inconnu
account-began = connexion
account-seen = vue
account-session-end = Déconnecter
account-session-title = Déconnecter une session ?
account-session-question = Déconnecter { $session } ?
account-session-consequence = Cette session prend fin maintenant. Ce qui y est en cours de saisie sera perdu.
account-sessions-question = Déconnecter partout ailleurs ?
account-sessions-consequence = { $count ->
    [one] { $count } autre session prend fin maintenant. Ce qui y est en cours de saisie sera perdu.
   *[other] { $count } autres sessions prennent fin maintenant. Ce qui y est en cours de saisie sera perdu.
}
account-sessions-end = Déconnecter partout ailleurs
account-notices = Notifications
account-notices-lead = Choisissez pour chaque entreprise ce qui vous est signalé par e-mail.

businesses-none = Vous n'êtes membre d'aucune entreprise
businesses-none-next = Demandez une invitation à un administrateur de votre entreprise.

settings-profile = Profil
logo-title = Logo
logo-lead = Affiché à côté du nom de l'entreprise, à ses membres et à ceux qui paient.
logo-now = Le logo actuel
logo-remove = Retirer le logo
logo-file = Image
logo-hint = PNG, JPEG ou WebP, 256 Kio au plus, de 16 à 2048 pixels de côté. Une image carrée convient le mieux.
logo-save = Utiliser ce logo
logo-empty = Choisissez d'abord une image.
logo-too-large = Le fichier est trop lourd : { $kib } Kio au plus.
logo-format = Ce fichier n'est pas une image PNG, JPEG ou WebP.
logo-pixels = Chaque côté doit compter de { $fewest } à { $most } pixels.
settings-administrators = Les administrateurs de l'entreprise peuvent changer ceci.

members-lead = Les administrateurs gèrent les personnes. Les administrateurs et les développeurs voient et gèrent les clés.
members-count = { $count ->
    [one] { $count } membre
   *[other] { $count } membres
}
members-you = vous
members-since = membre depuis le
members-seen = dernière activité
members-not-signed-in = pas connecté actuellement
members-second-factor = second facteur
members-no-second-factor = pas de second facteur
members-last = Le dernier administrateur ne peut être ni retiré ni rétrogradé : nommez d'abord un autre administrateur.
members-role = Rôle
members-role-of = Rôle de { $name }
members-role-invalid = Choisissez un rôle.
members-change-role = Changer le rôle
members-invitations = Invitations en attente
members-ends = se termine
members-ended = terminée
members-revoke-title = Retirer une invitation
members-revoke-question = Retirer l'invitation de { $email } ?
members-revoke-consequence = Le lien que { $email } a reçu par e-mail ne mènera plus à rien.
members-revoke = Retirer l'invitation
members-invite = Inviter quelqu'un
members-send = Envoyer l'invitation
members-already = Cette personne est déjà membre.
members-about-administrator = gère les personnes, les clés et les paramètres
members-about-developer = gère les clés, lit les journaux et l'utilisation
members-about-analyst = voit les chiffres, rien des clés
members-remove-title = Retirer un membre
members-remove-question = Retirer { $name } ?
members-remove-consequence = { $name } ne voit plus rien de { $business }, et toutes les sessions de ce compte se ferment maintenant. Les clés restent comme elles sont.

notices-lead = E-mails à { $email } au sujet de cette entreprise.
notices-when = Me prévenir quand
notices-none = Il n'y a rien qui soit signalé à votre rôle.
notice-live-key-created = une clé LIVE est créée
notice-live-key-widened = une clé LIVE peut faire plus qu'avant
notice-live-key-rotated = une clé LIVE reçoit une nouvelle valeur
notice-live-key-revealed = la valeur d'une clé LIVE est lue
notice-live-key-revoked = une clé LIVE est révoquée
notice-member-added = un membre est ajouté
notice-key-ending = une clé arrive à échéance (14, 7 et 1 jours avant)
notice-new-network = une clé est utilisée depuis un nouveau réseau
notice-webhook-disabled = un point de terminaison webhook est désactivé parce que son serveur ne répond plus

flash-account-saved = Votre compte a été changé.
flash-codes-shown = Ces codes de secours ont déjà été affichés, et ne le sont qu'une fois. Si vous ne les avez pas rangés, créez-en de nouveaux.
flash-totp-removed = L'application d'authentification a été retirée.
flash-passkey-removed = La clé d'accès a été retirée.
flash-session-ended = La session a été fermée.
flash-sessions-ended = Toutes les autres sessions ont été fermées.
flash-business-saved = { $name } a été modifiée.
flash-logo-saved = Le logo a été enregistré.
flash-logo-removed = Le logo a été retiré.
flash-invited = { $name } a été invité(e).
flash-role-changed = Le rôle de { $name } a été changé. Ses sessions ont été fermées.
flash-member-removed = { $name } a été retiré(e).
flash-invitation-revoked = L'invitation a été retirée.
flash-notices-saved = Votre choix a été enregistré.
