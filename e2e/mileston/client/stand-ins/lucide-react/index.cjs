// In place of a library of pictures, which Node cannot load either: its CommonJS files say that they are modules.
const picture = () => null;
for (const name of ["Calendar", "Check", "ChevronDown", "ChevronUp", "Clock", "Copy", "CreditCard", "Loader2", "LoaderIcon", "QrCode", "Wallet"]) {
  exports[name] = picture;
}
