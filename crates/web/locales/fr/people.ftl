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

people-sign-in-title = Connexion
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
people-welcome-waiting = Vous devenez administrateur de { $business }.
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
people-keys-copy = Copier : { $what }
people-keys-title = Les premières clés de { $business }
people-keys-lead = Ces valeurs sont affichées maintenant. Rangez celles qui ne sont affichées qu'une seule fois dans votre gestionnaire de secrets avant de continuer.
people-keys-once = Affichée une seule fois : elle ne peut pas être relue.
people-keys-again = Peut être relue sous Développeurs.
people-keys-value = Valeur de la clé
people-keys-header = Authorization (en-tête HTTP)
people-keys-id = Identifiant d'entreprise
people-keys-call = Vérifier la clé maintenant
people-keys-stored = J'ai rangé les clés : continuer
people-key-secret = Clé secrète
people-key-checkout = Clé API Checkout

flash-welcome = Bienvenue. Vous êtes l'administrateur de { $name }.
flash-joined = Vous êtes maintenant membre de { $name }.
flash-signed-out = Vous êtes déconnecté.
flash-sign-in-again = Cette étape a duré trop longtemps, ou trop de codes étaient faux. Connectez-vous de nouveau.
flash-password-changed = Votre mot de passe a été changé et toutes les autres sessions ont été fermées.
flash-password-reset = Votre mot de passe a été changé. Connectez-vous avec lui et votre second facteur.
