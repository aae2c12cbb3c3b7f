// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// A deposit address of one payment. Whatever arrives here can only ever go to `payout`, which is fixed when the
/// address is computed: it is part of the code that the address is derived from. It has no owner, no upgrade and no way
/// to call anything else, so anybody may send the transaction that moves the money.
contract Forwarder {
    address public immutable payout;

    error NotMoved();

    constructor(address payout_) {
        payout = payout_;
    }

    /// The chain's own coin may arrive too.
    receive() external payable {}

    /// Moves all that is here of a token to the payout address. Tokens that answer nothing, and those that answer
    /// true, count as moved; an empty address moves nothing.
    function flush(address token) external {
        (bool read, bytes memory held) = token.staticcall(abi.encodeWithSelector(0x70a08231, address(this)));
        if (!read || held.length < 32) revert NotMoved();
        uint256 amount = abi.decode(held, (uint256));
        if (amount == 0) return;
        (bool moved, bytes memory answer) = token.call(abi.encodeWithSelector(0xa9059cbb, payout, amount));
        if (!moved || (answer.length != 0 && !abi.decode(answer, (bool)))) revert NotMoved();
    }

    /// Moves the chain's own coin to the payout address.
    function flushCoin() external {
        (bool moved, ) = payout.call{value: address(this).balance}("");
        if (!moved) revert NotMoved();
    }
}

/// Makes forwarders at addresses that are known beforehand, and empties many at once. It holds nothing, has no owner and
/// never changes; deployed by the keyless CREATE2 deployer it has the same address on every network.
contract ForwarderFactory {
    /// Where the forwarder of a payout address and a salt is, or will be.
    function addressOf(address payout, bytes32 salt) public view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(Forwarder).creationCode, abi.encode(payout)));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, code)))));
    }

    /// Makes the forwarders that are not there yet, and moves all that they hold of a token to their payout address.
    function collect(address token, address payout, bytes32[] calldata salts) external {
        for (uint256 i = 0; i < salts.length; i++) {
            address place = addressOf(payout, salts[i]);
            if (place.code.length == 0) new Forwarder{salt: salts[i]}(payout);
            Forwarder(payable(place)).flush(token);
        }
    }
}
