// A shop's page with every component of the published client; what they call back is in `heard`.
import {
  InvoiceCheckout, MilestonPayButton, MilestonPaymentProvider, PayButton, PaymentLinkCheckout, SolanaWalletProvider,
  SubscriptionCheckout, SuiWalletProvider, useFetchPayment,
} from "mileston-payment-client";
import { useEffect, useRef } from "react";
import { createRoot } from "react-dom/client";

const { apikey, businessid, kind, id, paymentUrl } = globalThis.shop;
globalThis.heard = [];
const hears = (what) => (...said) => { heard.push([what, ...said.map((each) => each?.message ?? each)]); };
// The keys say which networks are offered; the addresses are not looked at, as each payment has one of its own.
const wallets = { base: "0xshop", pol: "0xshop", sui: "0xshop" };

function Checkout() {
  const { data, error, loading } = useFetchPayment({ paymentId: id, paymentType: kind });
  if (loading) return <p>Loading</p>;
  if (error) return <p role="alert">{error}</p>;
  const common = {
    businessName: "A shop", paymentLinkId: id, env: data.env, recipientWalletAddress: wallets, userUUID: businessid,
    onWalletConnectPaymentComplete: hears("wallet"), onWalletConnectPaymentError: hears("wallet failed"),
    onQrCodePaymentComplete: hears("qr"), onQrCodePaymentError: hears("qr failed"),
    onCardPaymentComplete: hears("card"), onCardPaymentError: hears("card failed"),
  };
  if (kind === "invoice") return <InvoiceCheckout {...common} amount={data.invoiceData.amount} description={data.invoiceData.itemName} />;
  if (kind === "recurring") {
    const { amount, subscriptionName, recurringInterval } = data.recurringPaymentData;
    const plan = { id, name: subscriptionName, interval: "daily", intervalCount: recurringInterval, amount: Number(amount) };
    return <SubscriptionCheckout {...common} amount={amount} plan={plan} />;
  }
  return <PaymentLinkCheckout {...common} amount={data.paymentData.amount} title={data.paymentData.title} />;
}

function Vanilla() {
  const button = useRef(null);
  useEffect(() => {
    new MilestonPayButton(button.current, { paymentUrl, onPaymentComplete: hears("vanilla"), onPaymentError: hears("vanilla failed") });
  }, []);
  return <button id="vanilla" ref={button} type="button" />;
}

createRoot(document.getElementById("shop")).render(
  <MilestonPaymentProvider apikey={apikey} businessid={businessid}>
    <SuiWalletProvider>
      <SolanaWalletProvider env="test">
        {paymentUrl ? (
          <>
            <Vanilla />
            <PayButton paymentUrl={paymentUrl} onPaymentComplete={hears("react")} onPaymentError={hears("react failed")}>In a window</PayButton>
          </>
        ) : <Checkout />}
      </SolanaWalletProvider>
    </SuiWalletProvider>
  </MilestonPaymentProvider>,
);
